package nodejs

import (
	"encoding/json"
	"fmt"
	"os"
)

// manifest is the part of a package.json that Pulumi reads.
type manifest struct {
	Name            string
	Version         string
	Dependencies    map[string]string
	DevDependencies map[string]string
	Pulumi          struct {
		Resource bool
		Name     string
		Version  string
		Server   string
	}
}

func readManifest(file string) (manifest, error) {
	var found manifest
	text, err := os.ReadFile(file)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("%s: %w", file, err)
	}
	return found, nil
}
