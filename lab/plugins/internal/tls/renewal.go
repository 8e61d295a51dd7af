package tls

import (
	"time"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// renewalAtIssue reports whether a certificate is due for renewal when it is issued.
//
// A certificate that becomes due later is replaced instead.
func renewalAtIssue(inputs provider.Values) provider.Values {
	return provider.Values{"readyForRenewal": inputs.Number("earlyRenewalHours") >= inputs.Number("validityPeriodHours")}
}

// renewalDue names the output readyForRenewal when the last earlyRenewalHours of a certificate have begun.
func renewalDue(state, inputs provider.Values) []string {
	end, err := time.Parse(time.RFC3339, state.String("validityEndTime"))
	if err != nil || time.Now().Before(end.Add(-hours(inputs, "earlyRenewalHours"))) {
		return nil
	}
	return []string{"readyForRenewal"}
}

func hours(inputs provider.Values, input string) time.Duration {
	return time.Duration(inputs.Int(input)) * time.Hour
}
