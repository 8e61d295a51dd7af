package provider

import (
	"slices"
	"testing"
)

func TestTypesAcceptTheirValues(t *testing.T) {
	object := Object(Fields{"name": Required(String)})
	for name, test := range map[string]struct {
		of    Type
		value any
	}{
		"a string":                  {String, "a"},
		"a number":                  {Number, 1.5},
		"a boolean":                 {Bool, false},
		"anything":                  {Any, []any{1.0}},
		"an allowed string":         {OneOf("a", "b"), "b"},
		"a list":                    {ListOf(Number), []any{1.0, 2.0}},
		"an unknown item":           {ListOf(Number), []any{Unknown}},
		"a map":                     {MapOf(String), map[string]any{"a": "b"}},
		"an object":                 {object, map[string]any{"name": "a"}},
		"an input that is not set":  {object, nil},
		"an unknown object":         {object, Unknown},
		"an unknown required value": {Required(Bool), Unknown},
	} {
		if found := test.of("input", test.value); found != nil {
			t.Errorf("%s: expected no problem, found %q", name, found)
		}
	}
}

func TestTypesNameTheWrongFieldAndNotItsValue(t *testing.T) {
	nested := Object(Fields{"list": ListOf(Object(Fields{"name": String}))})
	for name, test := range map[string]struct {
		of       Type
		value    any
		expected string
	}{
		"scalar": {Number, "secret", "input: expected a number, found a string"},
		"list":   {ListOf(String), map[string]any{}, "input: expected a list, found an object"},
		"item":   {ListOf(String), []any{"a", 1.0}, "input[1]: expected a string, found a number"},
		"map":    {MapOf(Bool), []any{}, "input: expected an object, found a list"},
		"entry":  {MapOf(Bool), map[string]any{"a": "secret"}, "input.a: expected a boolean, found a string"},
		"nested field": {
			nested, map[string]any{"list": []any{map[string]any{"name": true}}},
			"input.list[0].name: expected a string, found a boolean",
		},
		"unknown field":  {Object(Fields{"a": String}), map[string]any{"b": "secret"}, "input.b: expected one of a: " + useTheRealPlugin},
		"required value": {Required(String), nil, "input: expected a value, found none: set it"},
	} {
		if found := test.of("input", test.value); !slices.Equal(found, []string{test.expected}) {
			t.Errorf("%s: expected %q, found %q", name, test.expected, found)
		}
	}
}
