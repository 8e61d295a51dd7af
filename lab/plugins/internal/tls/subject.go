package tls

import (
	"crypto/x509/pkix"
	"fmt"
	"net"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

var subject = provider.Object(provider.Fields{
	"commonName":         provider.String,
	"organization":       provider.String,
	"organizationalUnit": provider.String,
	"country":            provider.String,
})

func subjectOf(inputs provider.Values) pkix.Name {
	subject := inputs.Object("subject")
	list := func(field string) []string {
		if text := subject.String(field); text != "" {
			return []string{text}
		}
		return nil
	}
	return pkix.Name{
		CommonName:         subject.String("commonName"),
		Organization:       list("organization"),
		OrganizationalUnit: list("organizationalUnit"),
		Country:            list("country"),
	}
}

func addressesOf(inputs provider.Values) ([]net.IP, error) {
	var addresses []net.IP
	for i, text := range inputs.Strings("ipAddresses") {
		address := net.ParseIP(text)
		if address == nil {
			return nil, fmt.Errorf("ipAddresses[%d]: expected an IP address, found %q", i, text)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}
