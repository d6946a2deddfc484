//go:build !linux

package process

func linuxPrograms() map[string]func(args []string) { return nil }

func bootMachine() {}
