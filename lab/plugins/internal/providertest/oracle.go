package providertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Both runs the real provider and its stand-in. The environment variable PULUMI_PLUGINS names the folder of the real plugins.
func Both(t *testing.T, name string, standIn provider.Provider) (real, own *Client) {
	t.Helper()
	file := filepath.Join(os.Getenv("PULUMI_PLUGINS"), "pulumi-resource-"+name)
	if os.Getenv("PULUMI_PLUGINS") == "" {
		t.Skip("PULUMI_PLUGINS names no folder with the real pulumi-resource-" + name)
	}
	process := Start(t, file)
	process.configure(t)
	process.settle = 20 * time.Millisecond // The real framework logs beside the call.
	return process.Client, InProcess(t, standIn)
}

// Same fails the test when the real provider and its stand-in differ.
func Same(t *testing.T, what string, real, own any) {
	t.Helper()
	if reflect.DeepEqual(real, own) {
		return
	}
	t.Errorf("%s\n--- real\n%s\n--- own\n%s", what, indent(t, real), indent(t, own))
}

func indent(t *testing.T, value any) string {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	Must(t, err)
	return string(text)
}

// With returns values with changes. A nil value removes one.
func With(base, changes provider.Values) provider.Values {
	all := provider.Values{}
	for _, part := range []provider.Values{base, changes} {
		for key, value := range part {
			all[key] = value
			if value == nil {
				delete(all, key)
			}
		}
	}
	return all
}
