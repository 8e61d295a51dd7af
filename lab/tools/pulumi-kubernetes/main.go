// Command pulumi-resource-kubernetes is the real provider of @pulumi/kubernetes.
//
// The provider's own build embeds the schema and a mapping from Terraform. This build reads the schema from the file schema.json beside
// the executable, so that the repository does not hold its 7.4 MB. The mapping is left out: only `pulumi convert` asks for it.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is set by the linker to the version of the npm package, which the CLI expects from the plugin.
var version = "4.0.0"

func main() {
	schema, err := readSchema()
	if err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-kubernetes: %v\n", err)
		os.Exit(1)
	}
	provider.Serve("kubernetes", version, schema, []byte("{}"))
}

// readSchema returns the schema with the version, which the file in the provider's module does not have.
func readSchema() ([]byte, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if executable, err = filepath.EvalSymlinks(executable); err != nil {
		return nil, err
	}
	file := filepath.Join(filepath.Dir(executable), "schema.json")
	schema, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("expected the provider's schema beside the executable: %w: "+
			"copy cmd/pulumi-resource-kubernetes/schema.json of the Go module github.com/pulumi/pulumi-kubernetes/provider/v4 there", err)
	}
	fields, isObject := bytes.CutPrefix(schema, []byte("{"))
	if !isObject {
		return nil, fmt.Errorf("%s: expected a JSON object, found another beginning: copy the file again", file)
	}
	return append(fmt.Appendf(nil, `{"version":%q,`, version), fields...), nil
}
