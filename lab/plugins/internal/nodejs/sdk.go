package nodejs

import (
	"fmt"
	"os"
	"path/filepath"
)

// FindSDKProgram returns a program of the Pulumi SDK. It searches node_modules of the folder and of its parents, as Node does.
func FindSDKProgram(folder, program string) (string, error) {
	start, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for at := start; ; at = filepath.Dir(at) {
		found := filepath.Join(at, "node_modules", "@pulumi", "pulumi", "cmd", program)
		if _, err := os.Stat(found); err == nil {
			return found, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("expected @pulumi/pulumi in node_modules of %s or a parent folder, found none: run npm ci", start)
		}
	}
}
