package tls

import (
	"encoding/pem"
	"fmt"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Labels of PEM blocks, in outputs and inputs alike.
const (
	certificateLabel = "CERTIFICATE"
	requestLabel     = "CERTIFICATE REQUEST"
)

func toPEM(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// fromPEM returns the content of an input's PEM block.
func fromPEM(inputs provider.Values, input, label string) ([]byte, error) {
	block, _ := pem.Decode([]byte(inputs.String(input)))
	if block == nil || block.Type != label {
		return nil, fmt.Errorf("%s: expected a PEM block %q, found none", input, label)
	}
	return block.Bytes, nil
}
