package tls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Labels of the PEM blocks with a private key. Each algorithm has its own form.
const (
	rsaLabel   = "RSA PRIVATE KEY"
	ecdsaLabel = "EC PRIVATE KEY"
)

var curves = map[string]elliptic.Curve{
	"P224": elliptic.P224(), "P256": elliptic.P256(), "P384": elliptic.P384(), "P521": elliptic.P521(),
}

func createKey(inputs provider.Values) (string, provider.Values, error) {
	key, keyPem, err := generateKey(inputs)
	if err != nil {
		return "", nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", nil, err
	}
	outputs := provider.Values{
		"privateKeyPem":              keyPem,
		"privateKeyPemPkcs8":         toPEM("PRIVATE KEY", pkcs8),
		"privateKeyOpenssh":          "",
		"publicKeyPem":               toPEM("PUBLIC KEY", public),
		"publicKeyOpenssh":           "",
		"publicKeyFingerprintMd5":    "",
		"publicKeyFingerprintSha256": "",
	}
	// SSH knows no curve P-224. Such a key has no OpenSSH outputs.
	if sshKey, err := ssh.NewPublicKey(key.Public()); err == nil {
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return "", nil, err
		}
		outputs["privateKeyOpenssh"] = string(pem.EncodeToMemory(block))
		outputs["publicKeyOpenssh"] = string(ssh.MarshalAuthorizedKey(sshKey))
		outputs["publicKeyFingerprintMd5"] = ssh.FingerprintLegacyMD5(sshKey)
		outputs["publicKeyFingerprintSha256"] = ssh.FingerprintSHA256(sshKey)
	}
	return digest(public), outputs, nil
}

// generateKey returns a new private key and its PEM form.
func generateKey(inputs provider.Values) (crypto.Signer, string, error) {
	if inputs.String("algorithm") == "RSA" {
		key, err := rsa.GenerateKey(rand.Reader, inputs.Int("rsaBits"))
		if err != nil {
			return nil, "", err
		}
		return key, toPEM(rsaLabel, x509.MarshalPKCS1PrivateKey(key)), nil
	}
	key, err := ecdsa.GenerateKey(curves[inputs.String("ecdsaCurve")], rand.Reader)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return key, toPEM(ecdsaLabel, der), err
}

// parseKey reads a private key from an input. It returns the algorithm's name too.
func parseKey(inputs provider.Values, input string) (crypto.Signer, string, error) {
	block, _ := pem.Decode([]byte(inputs.String(input)))
	if block == nil {
		return nil, "", fmt.Errorf("%s: expected a private key in PEM form, found no PEM block", input)
	}
	switch block.Type {
	case rsaLabel:
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		return key, "RSA", err
	case ecdsaLabel:
		key, err := x509.ParseECPrivateKey(block.Bytes)
		return key, "ECDSA", err
	default:
		return nil, "", fmt.Errorf("%s: expected a PEM block %q or %q, found %q: use the output privateKeyPem of a PrivateKey",
			input, rsaLabel, ecdsaLabel, block.Type)
	}
}

// digest returns the id of a key or a request.
func digest(der []byte) string {
	sum := sha1.Sum(der)
	return hex.EncodeToString(sum[:])
}
