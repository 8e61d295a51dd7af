package tls

import (
	"crypto/rand"
	"crypto/x509"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

func createRequest(inputs provider.Values) (string, provider.Values, error) {
	key, algorithm, err := parseKey(inputs, "privateKeyPem")
	if err != nil {
		return "", nil, err
	}
	addresses, err := addressesOf(inputs)
	if err != nil {
		return "", nil, err
	}
	template := &x509.CertificateRequest{
		Subject: subjectOf(inputs), DNSNames: inputs.Strings("dnsNames"), IPAddresses: addresses,
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return "", nil, err
	}
	return digest(der), provider.Values{"certRequestPem": toPEM(requestLabel, der), "keyAlgorithm": algorithm}, nil
}
