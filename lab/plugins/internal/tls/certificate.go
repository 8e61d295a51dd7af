package tls

import (
	"context"
	"crypto/x509"
	"maps"
	"slices"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// certificate describes a resource type that issues a certificate. Its output for the signing key's algorithm has its own name.
func certificate(
	algorithm string, issue func(inputs provider.Values) (string, provider.Values, error), inputs provider.Fields,
) provider.Resource {
	maps.Copy(inputs, provider.Fields{
		"validityPeriodHours": provider.Required(provider.Number),
		"earlyRenewalHours":   provider.Number,
		"allowedUses":         provider.Required(provider.ListOf(provider.OneOf(slices.Sorted(maps.Keys(uses))...))),
		"isCaCertificate":     provider.Bool,
		"setSubjectKeyId":     provider.Bool,
	})
	return provider.Resource{
		Inputs:   inputs,
		Defaults: provider.Values{"earlyRenewalHours": 0.0, "isCaCertificate": false, "setSubjectKeyId": false},
		Derive:   renewalAtIssue,
		Outputs:  []string{"certPem", algorithm, "validityStartTime", "validityEndTime"},
		Replaces: func(input string) bool { return input != "earlyRenewalHours" },
		Expired:  renewalDue,
		Create:   create(issue),
		// Only earlyRenewalHours changes without a new certificate.
		Update: func(context.Context, provider.Call, provider.Values, provider.Values) (provider.Values, error) {
			return nil, nil
		},
	}
}

func createSelfSigned(inputs provider.Values) (string, provider.Values, error) {
	key, algorithm, err := parseKey(inputs, "privateKeyPem")
	if err != nil {
		return "", nil, err
	}
	addresses, err := addressesOf(inputs)
	if err != nil {
		return "", nil, err
	}
	template := &x509.Certificate{Subject: subjectOf(inputs), DNSNames: inputs.Strings("dnsNames"), IPAddresses: addresses}
	return issue(inputs, issuance{template, template, key.Public(), key}, provider.Values{"keyAlgorithm": algorithm})
}

func createLocallySigned(inputs provider.Values) (string, provider.Values, error) {
	der, err := fromPEM(inputs, "certRequestPem", requestLabel)
	if err != nil {
		return "", nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return "", nil, err
	}
	if der, err = fromPEM(inputs, "caCertPem", certificateLabel); err != nil {
		return "", nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return "", nil, err
	}
	key, algorithm, err := parseKey(inputs, "caPrivateKeyPem")
	if err != nil {
		return "", nil, err
	}
	template := &x509.Certificate{Subject: request.Subject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses}
	return issue(inputs, issuance{template, ca, request.PublicKey, key}, provider.Values{"caKeyAlgorithm": algorithm})
}
