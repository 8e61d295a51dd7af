// Package tls stands in for the provider tls: PrivateKey, CertRequest, SelfSignedCert and LocallySignedCert.
package tls

import (
	"context"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Provider returns the stand-in. A changed input makes a new key or certificate. `earlyRenewalHours` is the exception: no certificate
// contains it.
func Provider() provider.Provider {
	return provider.Provider{Resources: map[string]provider.Resource{
		"tls:index/privateKey:PrivateKey": {
			Inputs: provider.Fields{
				"algorithm":  provider.Required(provider.OneOf("RSA", "ECDSA")),
				"ecdsaCurve": provider.OneOf("P224", "P256", "P384", "P521"),
				"rsaBits":    provider.Number,
			},
			Defaults: provider.Values{"ecdsaCurve": "P224", "rsaBits": 2048.0},
			Outputs: []string{
				"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh",
				"publicKeyPem", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256",
			},
			Replaces: provider.Always,
			Create:   create(createKey),
		},
		"tls:index/certRequest:CertRequest": {
			Inputs: provider.Fields{
				"privateKeyPem": provider.Required(provider.String),
				"subject":       subject,
				"dnsNames":      provider.ListOf(provider.String),
				"ipAddresses":   provider.ListOf(provider.String),
			},
			Outputs:  []string{"certRequestPem", "keyAlgorithm"},
			Replaces: provider.Always,
			Create:   create(createRequest),
		},
		"tls:index/selfSignedCert:SelfSignedCert": certificate("keyAlgorithm", createSelfSigned, provider.Fields{
			"privateKeyPem": provider.Required(provider.String),
			"subject":       subject,
			"dnsNames":      provider.ListOf(provider.String),
			"ipAddresses":   provider.ListOf(provider.String),
		}),
		"tls:index/locallySignedCert:LocallySignedCert": certificate("caKeyAlgorithm", createLocallySigned, provider.Fields{
			"certRequestPem":  provider.Required(provider.String),
			"caPrivateKeyPem": provider.Required(provider.String),
			"caCertPem":       provider.Required(provider.String),
		}),
	}}
}

// create adapts a function that needs the inputs alone.
func create(from func(inputs provider.Values) (string, provider.Values, error)) func(
	context.Context, provider.Call, provider.Values,
) (string, provider.Values, error) {
	return func(_ context.Context, _ provider.Call, inputs provider.Values) (string, provider.Values, error) {
		return from(inputs)
	}
}
