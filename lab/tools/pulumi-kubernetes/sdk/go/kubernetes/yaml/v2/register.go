// Package v2 replaces the SDK's package for the components of YAML files.
package v2

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RegisterResource refuses every object of a component.
func RegisterResource(*pulumi.Context, string, string, string, pulumi.Input, ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	return nil, errors.New("expected a resource, found a component: this build of the Kubernetes provider has no ConfigGroup, ConfigFile " +
		"and Chart v4, use Release or single resources")
}
