// Package kubernetes replaces the part of the Go SDK that the provider imports for components.
//
// The real SDK takes 2.8 GB of memory to compile. The components ConfigGroup, ConfigFile and Chart v4 are not in this build.
package kubernetes

import "reflect"

// UntypedArgs holds the fields of a Kubernetes object of any kind.
type UntypedArgs map[string]any

// ElementType returns the type that Pulumi resolves UntypedArgs to.
func (UntypedArgs) ElementType() reflect.Type { return reflect.TypeFor[map[string]any]() }
