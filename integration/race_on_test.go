//go:build race

package integration

// raceFlag builds the program the way these tests were built.
const raceFlag = "-race"
