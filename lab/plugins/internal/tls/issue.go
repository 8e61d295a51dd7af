package tls

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// uses maps the values of allowedUses to functions that set them in a certificate.
var uses = map[string]func(*x509.Certificate){
	"digital_signature":  keyUsage(x509.KeyUsageDigitalSignature),
	"content_commitment": keyUsage(x509.KeyUsageContentCommitment),
	"key_encipherment":   keyUsage(x509.KeyUsageKeyEncipherment),
	"data_encipherment":  keyUsage(x509.KeyUsageDataEncipherment),
	"key_agreement":      keyUsage(x509.KeyUsageKeyAgreement),
	"cert_signing":       keyUsage(x509.KeyUsageCertSign),
	"crl_signing":        keyUsage(x509.KeyUsageCRLSign),
	"server_auth":        extendedKeyUsage(x509.ExtKeyUsageServerAuth),
	"client_auth":        extendedKeyUsage(x509.ExtKeyUsageClientAuth),
}

func keyUsage(usage x509.KeyUsage) func(*x509.Certificate) {
	return func(certificate *x509.Certificate) { certificate.KeyUsage |= usage }
}

func extendedKeyUsage(usage x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(certificate *x509.Certificate) { certificate.ExtKeyUsage = append(certificate.ExtKeyUsage, usage) }
}

// issuance is a certificate to issue: its names, its issuer, its public key and the issuer's private key.
type issuance struct {
	template, issuer *x509.Certificate
	public           crypto.PublicKey
	signer           crypto.Signer
}

// issue completes the template from the inputs and signs it. The certificate's outputs are added to the given ones.
func issue(inputs provider.Values, issuance issuance, outputs provider.Values) (string, provider.Values, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return "", nil, err
	}
	template := issuance.template
	template.SerialNumber = serial
	template.NotBefore = time.Now()
	template.NotAfter = template.NotBefore.Add(hours(inputs, "validityPeriodHours"))
	template.BasicConstraintsValid = true
	template.IsCA = inputs.Bool("isCaCertificate")
	for _, use := range inputs.Strings("allowedUses") {
		uses[use](template)
	}
	if template.IsCA || inputs.Bool("setSubjectKeyId") {
		if template.SubjectKeyId, err = keyID(issuance.public); err != nil {
			return "", nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuance.issuer, issuance.public, issuance.signer)
	if err != nil {
		return "", nil, err
	}
	outputs["certPem"] = toPEM(certificateLabel, der)
	outputs["validityStartTime"] = template.NotBefore.Format(time.RFC3339Nano)
	outputs["validityEndTime"] = template.NotAfter.Format(time.RFC3339Nano)
	return serial.String(), outputs, nil
}

// keyID returns the digest of a public key's bits (RFC 5280, 4.2.1.2).
func keyID(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:], nil
}
