package random

import (
	"fmt"
	"regexp"
	"testing"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

// TestOracleRandomResourcesAnswerAlike compares the stand-in with the real provider. It skips without PULUMI_PLUGINS.
func TestOracleRandomResourcesAnswerAlike(t *testing.T) {
	real, own := providertest.Both(t, "random", Provider())
	for name, test := range map[string]struct {
		token           string
		before, changes provider.Values
	}{
		"length":  {randomPassword, provider.Values{"length": 24, "special": false}, provider.Values{"length": 25}},
		"nothing": {randomPassword, provider.Values{"length": 24, "special": false}, nil},
		"letters alone": {
			randomPassword, provider.Values{"length": 9, "special": false, "numeric": false}, provider.Values{"keepers": map[string]any{"a": "b"}},
		},
		"special": {
			randomPassword, provider.Values{"length": 12, "overrideSpecial": "_", "minSpecial": 3}, provider.Values{"overrideSpecial": "-"},
		},
		"longer than hash": {randomPassword, provider.Values{"length": 80}, provider.Values{"minLower": 1}},
		"integer":          {randomInteger, provider.Values{"min": 1, "max": 255}, provider.Values{"max": 9}},
	} {
		answers := func(client *providertest.Client) []any {
			created := client.CreateResource(t, test.token, test.before)
			return []any{
				created.Error,
				shape(created.Outputs),
				shape(client.PreviewCreate(t, test.token, test.before).Outputs),
				client.Steps(t, test.token, created.State, test.before, providertest.With(test.before, test.changes)),
			}
		}
		providertest.Same(t, name, answers(real), answers(own))
	}
}

// shape replaces random outputs by the part that chance leaves alone. The real provider returns the id as an output too.
func shape(outputs provider.Values) provider.Values {
	shape := providertest.With(outputs, provider.Values{"id": nil})
	for _, output := range []string{"result", "bcryptHash"} {
		switch value := outputs[output].(type) {
		case float64:
			shape[output] = "a number"
		case string:
			if value != provider.Unknown {
				special := regexp.MustCompile(`[^a-zA-Z0-9$./]`).MatchString(value)
				shape[output] = fmt.Sprintf("%d characters, special: %v", len(value), special)
			}
		}
	}
	return shape
}
