package tls

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

// TestOracleTLSResourcesAnswerAlike compares the stand-in with the real provider. It skips without PULUMI_PLUGINS.
func TestOracleTLSResourcesAnswerAlike(t *testing.T) {
	real, own := providertest.Both(t, "tls", Provider())
	for _, algorithm := range []provider.Values{
		{"algorithm": "ECDSA", "ecdsaCurve": "P256", "rsaBits": 2048}, {"algorithm": "RSA"}, {"algorithm": "ECDSA"},
	} {
		name := fmt.Sprint(algorithm)
		keys := own.CreateResource(t, privateKey, algorithm).Outputs
		providertest.Same(t, "key "+name, keyShape(real.CreateResource(t, privateKey, algorithm).Outputs), keyShape(keys))

		// Both sign with the stand-in's key.
		key := keys.String("privateKeyPem")
		caInputs := providertest.With(caInputs(key), provider.Values{
			"setSubjectKeyId": true, "subject": object{"commonName": "CA, \"of\" tests", "organization": "ö"},
		})
		requestInputs := provider.Values{
			"privateKeyPem": key, "subject": object{"commonName": "a.example", "organization": "o"},
			"dnsNames": []any{"a.example", "b.example"}, "ipAddresses": []any{"192.0.2.1", "2001:db8::1"},
		}
		compare(t, "CA "+name, real, own, selfSignedCert, caInputs)
		compare(t, "request "+name, real, own, certRequest, requestInputs)
		compare(t, "certificate "+name, real, own, locallySignedCert, provider.Values{
			"certRequestPem": own.CreateResource(t, certRequest, requestInputs).Outputs["certRequestPem"], "caPrivateKeyPem": key,
			"caCertPem":           own.CreateResource(t, selfSignedCert, caInputs).Outputs["certPem"],
			"validityPeriodHours": 100, "earlyRenewalHours": 10, "setSubjectKeyId": true,
			"allowedUses": []any{"digital_signature", "server_auth"},
		})
		compare(t, "due CA "+name, real, own, selfSignedCert, providertest.With(caInputs, provider.Values{"earlyRenewalHours": 9000}))
		compareChanges(t, name, real, own, caInputs)
	}
}

func compare(t *testing.T, what string, real, own *providertest.Client, token string, inputs provider.Values) {
	t.Helper()
	realAnswer, ownAnswer := real.CreateResource(t, token, inputs), own.CreateResource(t, token, inputs)
	providertest.Same(t, what, certificateShape(t, realAnswer), certificateShape(t, ownAnswer))
	providertest.Same(t, "preview of "+what,
		common(real.PreviewCreate(t, token, inputs).Outputs), common(own.PreviewCreate(t, token, inputs).Outputs))
}

func compareChanges(t *testing.T, name string, real, own *providertest.Client, before provider.Values) {
	t.Helper()
	realState, ownState := real.CreateResource(t, selfSignedCert, before).State, own.CreateResource(t, selfSignedCert, before).State
	for change, changes := range map[string]provider.Values{
		"nothing":      {},
		"renewal":      {"earlyRenewalHours": 48},
		"due":          {"earlyRenewalHours": 8761},
		"validity":     {"validityPeriodHours": 9000},
		"uses":         {"allowedUses": []any{"cert_signing"}},
		"organization": {"subject": object{"commonName": "CA", "organization": "p"}},
		"a later key":  {"privateKeyPem": provider.Unknown},
	} {
		after := providertest.With(before, changes)
		providertest.Same(t, "steps of "+change+" "+name,
			real.Steps(t, selfSignedCert, realState, before, after), own.Steps(t, selfSignedCert, ownState, before, after))
	}
	after := providertest.With(before, provider.Values{"earlyRenewalHours": 48})
	inPlace := func(client *providertest.Client) []any {
		created := client.CreateResource(t, selfSignedCert, before)
		preview := client.PreviewUpdate(t, selfSignedCert, created.State, before, after).Outputs
		updated := client.UpdateResource(t, selfSignedCert, created.State, before, after).Outputs
		kept := created.Outputs["certPem"]
		return []any{preview["certPem"] == kept, updated["certPem"] == kept, updated["earlyRenewalHours"], updated["readyForRenewal"]}
	}
	providertest.Same(t, "update of renewal "+name, inPlace(real), inPlace(own))
}

// common removes outputs that the stand-in does not have, and ids, which the real provider returns as outputs too.
func common(outputs provider.Values) provider.Values {
	return providertest.With(outputs, provider.Values{"id": nil, "setAuthorityKeyId": nil, "maxPathLength": nil})
}

// keyShape keeps the form of every output and drops the random part.
func keyShape(outputs provider.Values) provider.Values {
	shape := common(outputs)
	for output, value := range maps.Clone(shape) {
		text, isText := value.(string)
		if !isText || output == "algorithm" || output == "ecdsaCurve" {
			continue
		}
		first, _, _ := strings.Cut(text, "\n")
		shape[output] = fmt.Sprintf("%.20s, ends in a newline: %v", first, strings.HasSuffix(text, "\n"))
		if strings.Contains(output, "Fingerprint") {
			shape[output] = len(text)
		}
	}
	return shape
}

// certificateShape replaces a certificate or a request by the parts that the inputs decide.
func certificateShape(t *testing.T, answer providertest.Answer) provider.Values {
	t.Helper()
	shape := providertest.With(common(answer.Outputs), provider.Values{
		"error": answer.Error, "validityStartTime": nil, "validityEndTime": nil,
	})
	if block, _ := pem.Decode([]byte(answer.Outputs.String("certPem"))); block != nil {
		found, err := x509.ParseCertificate(block.Bytes)
		providertest.Must(t, err)
		shape["certPem"] = fmt.Sprint(found.Subject, found.Issuer, found.IsCA, found.BasicConstraintsValid, found.SubjectKeyId,
			found.AuthorityKeyId, found.KeyUsage, found.ExtKeyUsage, found.DNSNames, found.IPAddresses, found.SignatureAlgorithm,
			found.MaxPathLen, found.NotAfter.Sub(found.NotBefore), found.SerialNumber.BitLen() > 64, len(found.Extensions))
	}
	if block, _ := pem.Decode([]byte(answer.Outputs.String("certRequestPem"))); block != nil {
		found, err := x509.ParseCertificateRequest(block.Bytes)
		providertest.Must(t, err)
		shape["certRequestPem"] = fmt.Sprint(
			found.Subject, found.DNSNames, found.IPAddresses, found.SignatureAlgorithm, len(found.Extensions))
	}
	return shape
}
