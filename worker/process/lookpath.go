package process

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// LookPath finds the program that a configuration names, in PATH when it has
// no slash, and answers its absolute path, which is what Spec.Path wants.
func LookPath(name string) (string, error) {
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("look up program: %w", err)
	}
	abs, err := filepath.Abs(found)
	if err != nil {
		return "", fmt.Errorf("look up program %q: %w", name, err)
	}
	return abs, nil
}
