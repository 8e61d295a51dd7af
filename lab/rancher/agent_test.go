package main

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestChecksumOfTheCA proves that an agent ends at its start when Rancher's CA does not match the checksum, and connects otherwise.
func TestChecksumOfTheCA(t *testing.T) {
	var ca string
	connecting := make(chan struct{}, 1)
	rancher := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v3/connect" {
			writeJSON(w, http.StatusOK, map[string]string{"value": ca})
			return
		}
		select {
		case connecting <- struct{}{}:
		default:
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer rancher.Close()
	served := strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rancher.Certificate().Raw})))
	checksum := fmt.Sprintf("%x", sha256.Sum256([]byte(served+"\n")))
	for name, test := range map[string]struct{ ca, checksum, problem string }{
		"the same":       {served, checksum, ""},
		"another":        {served, strings.Repeat("0", 64), "does not match given --ca-checksum"},
		"none":           {"", checksum, "there is no CA certificate configured"},
		"no certificate": {"text", fmt.Sprintf("%x", sha256.Sum256([]byte("text\n"))), "does not look like an x509 certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			ca = test.ca
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			defer stop()
			ended := make(chan error, 1)
			a := &agent{server: rancher.URL, id: "one", token: "token", caChecksum: test.checksum, out: io.Discard}
			go func() { ended <- a.run(ctx) }()
			select {
			case <-connecting:
				if test.problem != "" {
					t.Error("the agent connects")
				}
			case err := <-ended:
				if test.problem == "" || err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("the agent ends with %v", err)
				}
			}
		})
	}
}
