package random

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const (
	randomPassword = "random:index/randomPassword:RandomPassword"
	randomInteger  = "random:index/randomInteger:RandomInteger"
)

func TestPasswordsHaveTheShapeTheInputsAskFor(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for _, test := range []struct {
		inputs provider.Values
		shape  string
	}{
		{provider.Values{"length": 24, "special": false}, `^[A-Za-z0-9]{24}$`},
		{provider.Values{"length": 100}, `^[A-Za-z0-9!@#$%&*()_=+[\]{}<>:?-]{100}$`},
		{provider.Values{"length": 8, "upper": false, "numeric": false, "special": false}, `^[a-z]{8}$`},
		{provider.Values{"length": 5, "overrideSpecial": "_", "minSpecial": 5}, `^_{5}$`},
	} {
		answer := client.CreateResource(t, randomPassword, test.inputs)
		result := answer.Outputs.String("result")
		if !regexp.MustCompile(test.shape).MatchString(result) {
			t.Errorf("%v: expected %s, found %q %s", test.inputs, test.shape, result, answer.Error)
		}
		hashed := result[:min(len(result), bcryptLimit)]
		if err := bcrypt.CompareHashAndPassword([]byte(answer.Outputs.String("bcryptHash")), []byte(hashed)); err != nil {
			t.Errorf("%v: expected the password's hash, found %v", test.inputs, err)
		}
	}
}

func TestPasswordsHoldTheMinimumOfEveryClass(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for range 5 {
		result := client.CreateResource(t, randomPassword, provider.Values{
			"length": 10, "minLower": 2, "minUpper": 2, "minNumeric": 2, "minSpecial": 2,
		}).Outputs.String("result")
		for _, class := range classes(nil) {
			found := 0
			for _, character := range result {
				if strings.ContainsRune(class.characters, character) {
					found++
				}
			}
			if found < 2 {
				t.Errorf("%q: expected at least 2 characters of %s, found %d", result, class.allowed, found)
			}
		}
	}
}

func TestEveryPasswordIsAnother(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	inputs := provider.Values{"length": 24}
	first := client.CreateResource(t, randomPassword, inputs).Outputs["result"]
	if second := client.CreateResource(t, randomPassword, inputs).Outputs["result"]; first == second {
		t.Errorf("expected two passwords, found %v twice", first)
	}
}

func TestIntegersCoverTheirRange(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	seen := map[float64]bool{}
	for range 200 {
		seen[client.CreateResource(t, randomInteger, provider.Values{"min": -1, "max": 1}).Outputs.Number("result")] = true
	}
	if fmt.Sprint(seen) != "map[-1:true 0:true 1:true]" {
		t.Errorf("expected -1, 0 and 1, found %v", seen)
	}
}

func TestImpossibleInputsAreRefused(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for _, test := range []struct {
		token    string
		inputs   provider.Values
		expected string
	}{
		{randomPassword, provider.Values{"length": 3, "minLower": 2, "minUpper": 2}, "expected length of at least 4"},
		{
			randomPassword, provider.Values{"length": 3, "lower": false, "upper": false, "numeric": false, "special": false},
			"expected one of lower, upper",
		},
		{randomInteger, provider.Values{"min": 2, "max": 1}, "expected min below or equal to max, found 2 and 1"},
	} {
		if answer := client.CreateResource(t, test.token, test.inputs); !strings.HasPrefix(answer.Error, test.expected) {
			t.Errorf("%v: expected %q, found %q", test.inputs, test.expected, answer.Error)
		}
	}
	failures := client.Failures(t, randomPassword, provider.Values{"length": 3, "seed": "a"})
	if len(failures) != 1 || !strings.HasPrefix(failures[0], "seed: ") {
		t.Errorf("expected the unknown input by name, found %q", failures)
	}
}

func TestEveryChangedInputReplaces(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	before := provider.Values{"length": 24}
	state := client.CreateResource(t, randomPassword, before).State
	for name, test := range map[string]struct {
		changes  provider.Values
		expected string
	}{
		"nothing":              {nil, "same"},
		"a default is spelled": {provider.Values{"special": true}, "same"},
		"length":               {provider.Values{"length": 25}, "replace"},
		"keepers":              {provider.Values{"keepers": map[string]any{"a": "b"}}, "replace"},
	} {
		if found := client.Steps(t, randomPassword, state, before, providertest.With(before, test.changes)); found != test.expected {
			t.Errorf("%s: expected %s, found %s", name, test.expected, found)
		}
	}
}

func TestAPreviewKnowsNoResult(t *testing.T) {
	answer := providertest.InProcess(t, Provider()).PreviewCreate(t, randomPassword, provider.Values{"length": 24})
	if answer.Outputs["result"] != provider.Unknown || answer.Outputs["bcryptHash"] != provider.Unknown {
		t.Errorf("expected unknown outputs, found %v", answer.Outputs)
	}
}
