package config

import (
	_ "embed" // the example
)

//go:embed example.yaml
var example string //nolint:gochecknoglobals // embedding needs a package variable; nothing writes it

// Example is a commented file with every setting at its default.
func Example() string { return example }
