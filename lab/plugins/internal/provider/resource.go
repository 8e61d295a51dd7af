package provider

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
)

// Resource describes a resource type. Only Inputs and Create are required.
type Resource struct {
	Inputs Fields
	// Defaults holds the values of inputs that the program does not set.
	Defaults Values
	// Derive computes outputs that depend on the inputs alone, so that every preview knows them.
	Derive func(inputs Values) Values
	// Outputs names the outputs that only Create and Update know.
	Outputs []string
	// Renewed names the outputs that an update changes. The preview of such an update shows them as unknown.
	Renewed []string
	// Replaces reports whether a change of the input needs a new resource.
	Replaces func(input string) bool
	// Expired names outputs that time has made wrong. The resource is replaced.
	Expired func(state, inputs Values) []string

	Create func(ctx context.Context, call Call, inputs Values) (id string, outputs Values, err error)
	Update func(ctx context.Context, call Call, state, inputs Values) (outputs Values, err error)
	Delete func(ctx context.Context, call Call, state Values) error
}

// complete returns the inputs with defaults and derived outputs.
func (resource Resource) complete(inputs *structpb.Struct) Values {
	all := Values{}
	maps.Copy(all, resource.Defaults)
	for input, value := range inputs.AsMap() {
		if value != nil {
			all[input] = value
		}
	}
	if resource.Derive != nil {
		maps.Copy(all, resource.Derive(all))
	}
	return all
}

// changed lists inputs whose values differ, sorted by name.
func (resource Resource) changed(before, after Values) []string {
	var changed []string
	for _, input := range slices.Sorted(maps.Keys(resource.Inputs)) {
		if !reflect.DeepEqual(before[input], after[input]) {
			changed = append(changed, input)
		}
	}
	return changed
}

// isStale reports whether a preview cannot know the outputs of an update: an input is unknown, or one of the state's has changed.
//
// An input that the state does not have leaves the outputs known, as in the real command provider.
func (resource Resource) isStale(state, inputs Values) bool {
	return slices.ContainsFunc(resource.changed(state, inputs), func(input string) bool {
		return inputs[input] == Unknown || state[input] != nil
	})
}

// keep returns the state's outputs, without inputs that the program no longer sets.
func (resource Resource) keep(state Values) Values {
	kept := Values{}
	for _, output := range resource.Outputs {
		if value, found := state[output]; found {
			kept[output] = value
		}
	}
	return kept
}

// Always is a Replaces for resources that no input changes in place.
func Always(string) bool { return true }
