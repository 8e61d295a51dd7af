package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
)

var errTooLong = errors.New("upstream sent too big header")

// balancer passes a request that failed on to the next endpoint, and tries at most three (proxy-next-upstream-tries).
type balancer struct{ transport http.RoundTripper }

func (b *balancer) RoundTrip(request *http.Request) (*http.Response, error) {
	var err error
	body := request.Body
	location := request.Context().Value(locationKey{}).(location)
	for tries, endpoint := range location.endpoints {
		if tries == 3 {
			break
		}
		attempt := request.Clone(request.Context())
		attempt.URL.Host = endpoint
		if body != nil {
			attempt.Body = io.NopCloser(body)
		}
		var response *http.Response
		if response, err = b.transport.RoundTrip(attempt); err == nil {
			if location.limits.isTooLong(response) {
				response.Body.Close()
				return nil, errTooLong
			}
			return response, nil
		}
		if !isPassedOn(request, err) {
			return nil, err
		}
	}
	return nil, err
}

// isPassedOn reports whether NGINX passes a request that failed on to the next endpoint (proxy-next-upstream: "error timeout"). Once a
// request is sent, this excludes methods that are not idempotent. A sent body is not kept here, so such a request is not passed on either.
func isPassedOn(request *http.Request, err error) bool {
	if request.Context().Err() != nil {
		return false // the client is gone
	}
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return true
	}
	return request.Body == nil && !slices.Contains([]string{http.MethodPost, http.MethodPatch, "LOCK"}, request.Method)
}
