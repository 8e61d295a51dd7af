package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// useTheRealPlugin is what to do about something that the stand-ins leave out.
const useTheRealPlugin = "this plugin is the lab's stand-in, leave it out or use a Pulumi CLI with the real plugin"

// Type lists what is wrong with the value of an input. A nil value means that the program does not set the input.
//
// Failures name the input and the types, never the value: the value may be a secret.
type Type func(path string, value any) []*pulumirpc.CheckFailure

// Fields maps the names of inputs, or of an object's fields, to their types.
type Fields map[string]Type

// Types of scalar inputs. The real provider of Any accepts every value.
var (
	String Type = scalar[string]("a string")
	Number Type = scalar[float64]("a number")
	Bool   Type = scalar[bool]("a boolean")
	Any    Type = func(string, any) []*pulumirpc.CheckFailure { return nil }
)

// OneOf accepts some strings. Its inputs hold no secrets, so a failure shows the value.
func OneOf(allowed ...string) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		text, isString := value.(string)
		if !isString || text == Unknown || slices.Contains(allowed, text) {
			return String(path, value)
		}
		return fail(path, fmt.Sprintf("expected one of %q, found %q: %s", allowed, text, useTheRealPlugin))
	}
}

// ListOf accepts lists.
func ListOf(item Type) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		items, isList := value.([]any)
		if !isList {
			return expect(path, "a list", value)
		}
		var failures []*pulumirpc.CheckFailure
		for i, value := range items {
			failures = append(failures, item(fmt.Sprintf("%s[%d]", path, i), value)...)
		}
		return failures
	}
}

// MapOf accepts objects with any field names.
func MapOf(item Type) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		object, isObject := value.(map[string]any)
		if !isObject {
			return expect(path, "an object", value)
		}
		var failures []*pulumirpc.CheckFailure
		for _, key := range slices.Sorted(maps.Keys(object)) {
			failures = append(failures, item(path+"."+key, object[key])...)
		}
		return failures
	}
}

// Object accepts objects with some fields.
func Object(fields Fields) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		object, isObject := value.(map[string]any)
		if !isObject {
			return expect(path, "an object", value)
		}
		return fields.check(path+".", object)
	}
}

// Required refuses an input that the program does not set.
func Required(of Type) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		if value == nil {
			return fail(path, "expected a value, found none: set it")
		}
		return of(path, value)
	}
}

// check lists wrong and unknown fields of an object, sorted by name.
func (fields Fields) check(prefix string, object Values) []*pulumirpc.CheckFailure {
	names := map[string]bool{}
	for name := range fields {
		names[name] = true
	}
	for name := range object {
		names[name] = true
	}
	var failures []*pulumirpc.CheckFailure
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if field, known := fields[name]; known {
			failures = append(failures, field(prefix+name, object[name])...)
		} else {
			allowed := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
			failures = append(failures, fail(prefix+name, fmt.Sprintf("expected one of %s: %s", allowed, useTheRealPlugin))...)
		}
	}
	return failures
}

func scalar[T any](expected string) Type {
	return func(path string, value any) []*pulumirpc.CheckFailure {
		if _, is := value.(T); is {
			return nil
		}
		return expect(path, expected, value)
	}
}

// expect fails for a value of another type, and accepts unknown values and inputs that the program does not set.
func expect(path, expected string, value any) []*pulumirpc.CheckFailure {
	if value == nil || value == Unknown {
		return nil
	}
	return fail(path, fmt.Sprintf("expected %s, found %s", expected, typeName(value)))
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

func fail(path, reason string) []*pulumirpc.CheckFailure {
	return []*pulumirpc.CheckFailure{{Property: path, Reason: reason}}
}
