package provider

import (
	"maps"

	"google.golang.org/protobuf/types/known/structpb"
)

// Unknown is the engine's mark for a value that a preview cannot know.
const Unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// Values are a resource's inputs or outputs as the engine sends them. A missing value reads as the zero value of its type.
type Values map[string]any

// Has reports whether a value is set.
func (values Values) Has(key string) bool { return values[key] != nil }

// String returns a string.
func (values Values) String(key string) string { return as[string](values[key]) }

// Number returns a number.
func (values Values) Number(key string) float64 { return as[float64](values[key]) }

// Int returns a number as an integer.
func (values Values) Int(key string) int { return int(values.Number(key)) }

// Bool returns a boolean.
func (values Values) Bool(key string) bool { return as[bool](values[key]) }

// Object returns an object.
func (values Values) Object(key string) Values { return as[map[string]any](values[key]) }

// Strings returns a list of strings.
func (values Values) Strings(key string) []string {
	var texts []string
	for _, item := range as[[]any](values[key]) {
		texts = append(texts, as[string](item))
	}
	return texts
}

func as[T any](value any) T {
	typed, _ := value.(T)
	return typed
}

func unknowns(keys []string) Values {
	all := Values{}
	for _, key := range keys {
		all[key] = Unknown
	}
	return all
}

// toStruct joins values for the wire. A later part overrides an earlier one.
func toStruct(parts ...Values) (*structpb.Struct, error) {
	all := map[string]any{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return structpb.NewStruct(all)
}
