// Command plugins stands in for the Pulumi plugins whose Go modules are not served: the Node language host and the providers command,
// random and tls.
//
// The real Pulumi CLI starts a plugin by its file name. This program is built once and linked to each of those names.
//
// The stand-ins keep the contract of the real plugins as far as the lab and its tests need it. They refuse by name every resource type,
// input, function and option that they do not have. They leave out:
//   - language host: Yarn, pnpm and Bun, the debugger, policy packs, code generation, packages outside the top level of node_modules;
//   - command: CopyToRemote, CopyFile, assets and archives, the schema;
//   - random: all but RandomPassword and RandomInteger, import, the schema;
//   - tls: Ed25519 keys, URIs, subjects beyond name, organization, unit and country, data sources, import, the schema.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pulumi-rancher-ha/lab/plugins/internal/command"
	"pulumi-rancher-ha/lab/plugins/internal/nodejs"
	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/random"
	"pulumi-rancher-ha/lab/plugins/internal/tls"
)

// plugins maps a plugin's file name to the function that runs under that name.
var plugins = map[string]func() error{
	"pulumi-language-nodejs":  nodejs.Serve,
	"pulumi-resource-command": func() error { return provider.Serve(command.Provider()) },
	"pulumi-resource-random":  func() error { return provider.Serve(random.Provider()) },
	"pulumi-resource-tls":     func() error { return provider.Serve(tls.Provider()) },
}

func main() {
	name := filepath.Base(os.Args[0])
	if err := run(name); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(name string) error {
	plugin, known := plugins[name]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(plugins)), ", ")
		return fmt.Errorf("expected to be called by a plugin's name, found %q: link this file to one of %s", name, names)
	}
	return plugin()
}
