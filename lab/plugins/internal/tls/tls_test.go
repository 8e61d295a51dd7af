package tls

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const (
	privateKey        = "tls:index/privateKey:PrivateKey"
	certRequest       = "tls:index/certRequest:CertRequest"
	selfSignedCert    = "tls:index/selfSignedCert:SelfSignedCert"
	locallySignedCert = "tls:index/locallySignedCert:LocallySignedCert"
)

type object = map[string]any

// caInputs are the inputs of a CA that is valid for a year.
func caInputs(key string) provider.Values {
	return provider.Values{
		"privateKeyPem": key, "subject": object{"commonName": "CA", "organization": "o"}, "isCaCertificate": true,
		"validityPeriodHours": 8760, "earlyRenewalHours": 24, "allowedUses": []any{"cert_signing", "crl_signing", "digital_signature"},
	}
}

func TestACertificateOfTheCAIsTrusted(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for _, algorithm := range []string{"RSA", "ECDSA"} {
		key := newKey(t, client, provider.Values{"algorithm": algorithm, "ecdsaCurve": "P256"}).String("privateKeyPem")
		ca := client.CreateResource(t, selfSignedCert, caInputs(key)).Outputs
		request := client.CreateResource(t, certRequest, provider.Values{
			"privateKeyPem": key, "subject": object{"commonName": "a.example"},
			"dnsNames": []any{"a.example"}, "ipAddresses": []any{"192.0.2.1", "2001:db8::1"},
		}).Outputs
		leaf := client.CreateResource(t, locallySignedCert, provider.Values{
			"certRequestPem": request["certRequestPem"], "caPrivateKeyPem": key, "caCertPem": ca["certPem"],
			"validityPeriodHours": 100, "setSubjectKeyId": true, "allowedUses": []any{"digital_signature", "server_auth"},
		}).Outputs
		if request["keyAlgorithm"] != algorithm || ca["keyAlgorithm"] != algorithm || leaf["caKeyAlgorithm"] != algorithm {
			t.Errorf("%s: expected the algorithm in every output, found %v %v %v",
				algorithm, request["keyAlgorithm"], ca["keyAlgorithm"], leaf["caKeyAlgorithm"])
		}
		roots := x509.NewCertPool()
		roots.AddCert(parse(t, ca))
		for _, name := range []string{"a.example", "192.0.2.1", "2001:db8::1"} {
			if _, err := parse(t, leaf).Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("%s: expected a trusted certificate for %s, found %v", algorithm, name, err)
			}
		}
	}
}

func TestCertificatesHoldWhatTheInputsSay(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	ca := parse(t, client.CreateResource(t, selfSignedCert, caInputs(newKey(t, client, ecdsaP256).String("privateKeyPem"))).Outputs)
	uses := x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	expected := fmt.Sprintln("CN=CA,O=o", true, uses, 20, 8760*time.Hour)
	found := fmt.Sprintln(ca.Subject, ca.IsCA, ca.KeyUsage, len(ca.SubjectKeyId), ca.NotAfter.Sub(ca.NotBefore))
	if found != expected {
		t.Errorf("expected %s, found %s", expected, found)
	}
}

func TestKeysHaveAllFormsOfOneKey(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for name, test := range map[string]struct {
		inputs     provider.Values
		hasOpenSSH bool
	}{
		"RSA":   {provider.Values{"algorithm": "RSA"}, true},
		"P-256": {ecdsaP256, true},
		"P-224": {provider.Values{"algorithm": "ECDSA"}, false},
	} {
		outputs := newKey(t, client, test.inputs)
		signer, _, err := parseKey(outputs, "privateKeyPem")
		providertest.Must(t, err)
		public, err := x509.MarshalPKIXPublicKey(signer.Public())
		providertest.Must(t, err)
		if outputs["publicKeyPem"] != toPEM("PUBLIC KEY", public) {
			t.Errorf("%s: expected the public key of privateKeyPem, found another", name)
		}
		block, _ := pem.Decode([]byte(outputs.String("privateKeyPemPkcs8")))
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if hasOpenSSH := outputs.String("privateKeyOpenssh") != ""; hasOpenSSH != test.hasOpenSSH {
			t.Errorf("%s: expected an OpenSSH form=%v, found %v", name, test.hasOpenSSH, hasOpenSSH)
		}
		if !test.hasOpenSSH {
			continue
		}
		opened, err := ssh.ParsePrivateKey([]byte(outputs.String("privateKeyOpenssh")))
		providertest.Must(t, err)
		if string(ssh.MarshalAuthorizedKey(opened.PublicKey())) != outputs["publicKeyOpenssh"] ||
			ssh.FingerprintSHA256(opened.PublicKey()) != outputs["publicKeyFingerprintSha256"] {
			t.Errorf("%s: expected the OpenSSH forms of one key, found others", name)
		}
	}
}

func TestOnlyEarlyRenewalHoursChangesInPlace(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	before := caInputs(newKey(t, client, ecdsaP256).String("privateKeyPem"))
	state := client.CreateResource(t, selfSignedCert, before).State
	for name, test := range map[string]struct {
		changes  provider.Values
		expected string
	}{
		"nothing":     {nil, "same"},
		"renewal":     {provider.Values{"earlyRenewalHours": 48}, "update"},
		"due":         {provider.Values{"earlyRenewalHours": 8761}, "replace"},
		"validity":    {provider.Values{"validityPeriodHours": 9000}, "replace"},
		"uses":        {provider.Values{"allowedUses": []any{"cert_signing"}}, "replace"},
		"subject":     {provider.Values{"subject": object{"commonName": "other"}}, "replace"},
		"a later key": {provider.Values{"privateKeyPem": provider.Unknown}, "replace"},
	} {
		if found := client.Steps(t, selfSignedCert, state, before, providertest.With(before, test.changes)); found != test.expected {
			t.Errorf("%s: expected %s, found %s", name, test.expected, found)
		}
	}
	after := providertest.With(before, provider.Values{"earlyRenewalHours": 48})
	for name, answer := range map[string]providertest.Answer{
		"preview": client.PreviewUpdate(t, selfSignedCert, state, before, after),
		"update":  client.UpdateResource(t, selfSignedCert, state, before, after),
	} {
		if answer.Outputs["certPem"] != state.AsMap()["certPem"] || answer.Outputs.Number("earlyRenewalHours") != 48 {
			t.Errorf("%s: expected the same certificate with the new earlyRenewalHours, found %v", name, answer.Outputs)
		}
	}
}

func TestACertificateIsReplacedInItsLastEarlyRenewalHours(t *testing.T) {
	for remaining, due := range map[time.Duration]bool{25 * time.Hour: false, 23 * time.Hour: true, -time.Hour: true} {
		state := provider.Values{"validityEndTime": time.Now().Add(remaining).Format(time.RFC3339Nano)}
		found := renewalDue(state, provider.Values{"earlyRenewalHours": 24.0})
		if (found != nil) != due {
			t.Errorf("%v before the end: expected due=%v, found %v", remaining, due, found)
		}
	}
}

func TestReadyForRenewalIsTrueForACertificateThatIsDueWhenIssued(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	inputs := caInputs(newKey(t, client, ecdsaP256).String("privateKeyPem"))
	for early, ready := range map[int]bool{24: false, 8760: true} {
		answer := client.CreateResource(t, selfSignedCert, providertest.With(inputs, provider.Values{"earlyRenewalHours": early}))
		if answer.Outputs["readyForRenewal"] != ready {
			t.Errorf("earlyRenewalHours %d: expected readyForRenewal=%v, found %v", early, ready, answer.Outputs["readyForRenewal"])
		}
	}
}

func TestWrongInputsAreRefusedByNameWithoutKeys(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	key := newKey(t, client, ecdsaP256)
	for name, test := range map[string]struct {
		token    string
		changes  provider.Values
		expected string
	}{
		"algorithm": {
			privateKey, provider.Values{"algorithm": "ED25519"},
			`algorithm: expected one of ["RSA" "ECDSA"], found "ED25519"`,
		},
		"subject field": {
			selfSignedCert, provider.Values{"subject": object{"locality": "a"}},
			"subject.locality: expected one of commonName,",
		},
		"use":   {selfSignedCert, provider.Values{"allowedUses": []any{"code_signing"}}, "allowedUses[0]: expected one of "},
		"input": {selfSignedCert, provider.Values{"uris": []any{"a"}}, "uris: expected one of "},
	} {
		inputs := test.changes
		if test.token == selfSignedCert {
			inputs = providertest.With(caInputs("key"), test.changes)
		}
		if failures := client.Failures(t, test.token, inputs); len(failures) != 1 || !strings.HasPrefix(failures[0], test.expected) {
			t.Errorf("%s: expected %q, found %q", name, test.expected, failures)
		}
	}
	for name, test := range map[string]struct {
		changes  provider.Values
		expected string
	}{
		"no PEM": {provider.Values{"privateKeyPem": "secret"}, "privateKeyPem: expected a private key in PEM form, found no PEM block"},
		"other form": {
			provider.Values{"privateKeyPem": key["privateKeyPemPkcs8"]},
			`privateKeyPem: expected a PEM block "RSA PRIVATE KEY" or "EC PRIVATE KEY", found "PRIVATE KEY"`,
		},
		"address": {provider.Values{"ipAddresses": []any{"192.0.2.1", "a"}}, `ipAddresses[1]: expected an IP address, found "a"`},
	} {
		inputs := providertest.With(caInputs(key.String("privateKeyPem")), test.changes)
		if answer := client.CreateResource(t, selfSignedCert, inputs); !strings.HasPrefix(answer.Error, test.expected) {
			t.Errorf("%s: expected %q, found %q", name, test.expected, answer.Error)
		}
	}
}

var ecdsaP256 = provider.Values{"algorithm": "ECDSA", "ecdsaCurve": "P256"}

func newKey(t *testing.T, client *providertest.Client, inputs provider.Values) provider.Values {
	t.Helper()
	answer := client.CreateResource(t, privateKey, inputs)
	if answer.Error != "" {
		t.Fatal(answer.Error)
	}
	return answer.Outputs
}

func parse(t *testing.T, outputs provider.Values) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(outputs.String("certPem")))
	if block == nil {
		t.Fatal("expected a certificate, found none")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	providertest.Must(t, err)
	return certificate
}
