package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// useTheRealPlugin is the advice for everything that the stand-ins do not have.
const useTheRealPlugin = "this plugin is the lab's stand-in, leave it out or use a Pulumi CLI with the real plugin"

// Type lists problems of an input's value, one line for each wrong field. A nil value means that the program does not set the input.
//
// Lines name the input and the types, never the value, which may be a secret.
type Type func(path string, value any) []string

// Fields maps the names of inputs, or of an object's fields, to their types.
type Fields map[string]Type

// Types of scalar inputs, and Any for inputs of every type.
var (
	String Type = scalar[string]("a string")
	Number Type = scalar[float64]("a number")
	Bool   Type = scalar[bool]("a boolean")
	Any    Type = func(string, any) []string { return nil }
)

// OneOf accepts some strings. Its inputs hold no secrets, so its lines show the value.
func OneOf(allowed ...string) Type {
	return func(path string, value any) []string {
		text, isString := value.(string)
		if !isString || text == Unknown || slices.Contains(allowed, text) {
			return String(path, value)
		}
		return problem(path, fmt.Sprintf("expected one of %q, found %q: %s", allowed, text, useTheRealPlugin))
	}
}

// ListOf accepts lists.
func ListOf(item Type) Type {
	return func(path string, value any) []string {
		items, isList := value.([]any)
		if !isList {
			return expect(path, "a list", value)
		}
		var problems []string
		for i, value := range items {
			problems = append(problems, item(fmt.Sprintf("%s[%d]", path, i), value)...)
		}
		return problems
	}
}

// MapOf accepts objects with any field names.
func MapOf(item Type) Type {
	return func(path string, value any) []string {
		object, isObject := value.(map[string]any)
		if !isObject {
			return expect(path, "an object", value)
		}
		var problems []string
		for _, key := range slices.Sorted(maps.Keys(object)) {
			problems = append(problems, item(path+"."+key, object[key])...)
		}
		return problems
	}
}

// Object accepts objects with some fields.
func Object(fields Fields) Type {
	return func(path string, value any) []string {
		object, isObject := value.(map[string]any)
		if !isObject {
			return expect(path, "an object", value)
		}
		return fields.check(path+".", object)
	}
}

// Required refuses an input that the program does not set.
func Required(of Type) Type {
	return func(path string, value any) []string {
		if value == nil {
			return problem(path, "expected a value, found none: set it")
		}
		return of(path, value)
	}
}

// check lists wrong and unknown fields of an object, sorted by name.
func (fields Fields) check(prefix string, object Values) []string {
	names := map[string]bool{}
	for name := range fields {
		names[name] = true
	}
	for name := range object {
		names[name] = true
	}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if field, known := fields[name]; known {
			problems = append(problems, field(prefix+name, object[name])...)
		} else {
			allowed := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			problems = append(problems, problem(prefix+name, fmt.Sprintf("expected one of %s: %s", allowed, useTheRealPlugin))...)
		}
	}
	return problems
}

func scalar[T any](expected string) Type {
	return func(path string, value any) []string {
		if _, is := value.(T); is {
			return nil
		}
		return expect(path, expected, value)
	}
}

// expect refuses a value of another type, and accepts unknown values and inputs that the program does not set.
func expect(path, expected string, value any) []string {
	if value == nil || value == Unknown {
		return nil
	}
	return problem(path, fmt.Sprintf("expected %s, found %s", expected, typeName(value)))
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func problem(path, reason string) []string { return []string{path + ": " + reason} }
