package nodejs

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// GetRequiredPackages names the providers of the packages at the top level of node_modules.
func (host *host) GetRequiredPackages(
	_ context.Context, request *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	response := &pulumirpc.GetRequiredPackagesResponse{}
	for _, pattern := range []string{"*", "@*/*"} {
		files, err := filepath.Glob(filepath.Join(request.GetInfo().GetProgramDirectory(), "node_modules", pattern, "package.json"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			found, err := readManifest(file)
			if err != nil {
				return nil, err
			}
			if found.Pulumi.Resource {
				response.Packages = append(response.Packages, found.provider())
			}
		}
	}
	return response, nil
}

// provider returns the provider that a package needs. A package need not repeat its own name and version.
func (manifest manifest) provider() *pulumirpc.PackageDependency {
	name, version := manifest.Pulumi.Name, manifest.Pulumi.Version
	if name == "" {
		name = strings.TrimPrefix(manifest.Name, "@pulumi/")
	}
	if version == "" {
		version = manifest.Version
	}
	return &pulumirpc.PackageDependency{
		Kind: "resource", Name: name, Version: "v" + strings.TrimPrefix(version, "v"), Server: manifest.Pulumi.Server,
	}
}

// GetProgramDependencies names the installed packages of the program's own package.json.
func (host *host) GetProgramDependencies(
	_ context.Context, request *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	folder := request.GetInfo().GetProgramDirectory()
	own, err := readManifest(filepath.Join(folder, "package.json"))
	if err != nil {
		return nil, err
	}
	dependencies := maps.Clone(own.Dependencies)
	if dependencies == nil {
		dependencies = map[string]string{}
	}
	maps.Copy(dependencies, own.DevDependencies)
	response := &pulumirpc.GetProgramDependenciesResponse{}
	for _, name := range slices.Sorted(maps.Keys(dependencies)) {
		installed, err := readManifest(filepath.Join(folder, "node_modules", name, "package.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		response.Dependencies = append(response.Dependencies, &pulumirpc.DependencyInfo{Name: name, Version: installed.Version})
	}
	return response, nil
}
