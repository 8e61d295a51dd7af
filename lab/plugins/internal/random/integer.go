package random

import (
	"context"
	"fmt"
	"strconv"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

func createInteger(_ context.Context, _ provider.Call, inputs provider.Values) (string, provider.Values, error) {
	least, most := inputs.Int("min"), inputs.Int("max")
	if least > most {
		return "", nil, fmt.Errorf("expected min below or equal to max, found %d and %d: swap them", least, most)
	}
	result := least + below(most-least+1)
	return strconv.Itoa(result), provider.Values{"result": result}, nil
}
