// Package random stands in for the provider random: RandomPassword and RandomInteger.
package random

import (
	"crypto/rand"
	"math/big"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Provider returns the stand-in. Every changed input draws a new value.
func Provider() provider.Provider {
	return provider.Provider{Resources: map[string]provider.Resource{
		"random:index/randomPassword:RandomPassword": {
			Inputs: provider.Fields{
				"length":          provider.Required(provider.Number),
				"lower":           provider.Bool,
				"upper":           provider.Bool,
				"numeric":         provider.Bool,
				"special":         provider.Bool,
				"overrideSpecial": provider.String,
				"minLower":        provider.Number,
				"minUpper":        provider.Number,
				"minNumeric":      provider.Number,
				"minSpecial":      provider.Number,
				"keepers":         provider.MapOf(provider.String),
			},
			Defaults: provider.Values{
				"lower": true, "upper": true, "numeric": true, "special": true,
				"minLower": 0.0, "minUpper": 0.0, "minNumeric": 0.0, "minSpecial": 0.0,
			},
			// `number` is the old name of `numeric`.
			Derive:   func(inputs provider.Values) provider.Values { return provider.Values{"number": inputs["numeric"]} },
			Outputs:  []string{"result", "bcryptHash"},
			Replaces: provider.Always,
			Create:   createPassword,
		},
		"random:index/randomInteger:RandomInteger": {
			Inputs: provider.Fields{
				"min":     provider.Required(provider.Number),
				"max":     provider.Required(provider.Number),
				"keepers": provider.MapOf(provider.String),
			},
			Outputs:  []string{"result"},
			Replaces: provider.Always,
			Create:   createInteger,
		},
	}}
}

// below draws a number from 0 to one less than the end.
func below(end int) int {
	number, err := rand.Int(rand.Reader, big.NewInt(int64(end)))
	if err != nil {
		panic(err) // The kernel's random numbers never fail.
	}
	return int(number.Int64())
}
