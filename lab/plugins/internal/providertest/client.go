package providertest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// Client calls one provider for a resource with the name `one`.
type Client struct {
	pulumirpc.ResourceProviderClient
	engine *engine
	// settle is the wait for log lines that arrive after the answer.
	settle time.Duration
}

// Answer is a provider's answer to a call.
type Answer struct {
	Outputs provider.Values
	Error   string
	// Log holds logged lines. Lines that are not status lines have severity and lifetime before them.
	Log []string
	// State is the resource's state in the engine.
	State *structpb.Struct
	// Took is the duration of the call.
	Took time.Duration
}

// Comparable returns the part of an answer that two providers have in common.
func (answer Answer) Comparable() Answer {
	return Answer{Outputs: answer.Outputs, Error: answer.Error, Log: answer.Log}
}

// InProcess serves a provider inside the test until the test ends.
func InProcess(t *testing.T, served provider.Provider) *Client {
	t.Helper()
	engine := &engine{}
	engineAddress := serve(t, func(to *grpc.Server) { pulumirpc.RegisterEngineServer(to, engine) })
	server := provider.NewServer(served, pulumirpc.NewEngineClient(connect(t, engineAddress)))
	address := serve(t, func(to *grpc.Server) { pulumirpc.RegisterResourceProviderServer(to, server) })
	client := &Client{ResourceProviderClient: pulumirpc.NewResourceProviderClient(connect(t, address)), engine: engine}
	client.configure(t)
	return client
}

func (client *Client) configure(t *testing.T) {
	t.Helper()
	_, err := client.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: &structpb.Struct{}, SendsOldInputs: true})
	Must(t, err)
}

// Failures returns the provider's problems with the inputs. None may name a property, because the CLI prints the property's value.
func (client *Client) Failures(t *testing.T, token string, inputs provider.Values) []string {
	t.Helper()
	var lines []string
	for _, failure := range client.check(t, token, inputs).GetFailures() {
		if failure.GetProperty() != "" {
			t.Errorf("expected no property in a failure, found %q", failure.GetProperty())
		}
		lines = append(lines, failure.GetReason())
	}
	return lines
}

// CreateResource checks the inputs and creates a resource.
func (client *Client) CreateResource(t *testing.T, token string, inputs provider.Values) Answer {
	t.Helper()
	return client.create(t, token, inputs, &pulumirpc.CreateRequest{})
}

// CreateWithin creates a resource with a custom timeout.
func (client *Client) CreateWithin(t *testing.T, token string, inputs provider.Values, timeout time.Duration) Answer {
	t.Helper()
	return client.create(t, token, inputs, &pulumirpc.CreateRequest{Timeout: timeout.Seconds()})
}

// PreviewCreate returns the preview of a new resource.
func (client *Client) PreviewCreate(t *testing.T, token string, inputs provider.Values) Answer {
	t.Helper()
	return client.create(t, token, inputs, &pulumirpc.CreateRequest{Preview: true})
}

// UpdateResource updates a resource in place.
func (client *Client) UpdateResource(t *testing.T, token string, state *structpb.Struct, before, after provider.Values) Answer {
	t.Helper()
	return client.update(t, token, state, before, after, false)
}

// PreviewUpdate returns the preview of an update in place.
func (client *Client) PreviewUpdate(t *testing.T, token string, state *structpb.Struct, before, after provider.Values) Answer {
	t.Helper()
	return client.update(t, token, state, before, after, true)
}

// DeleteResource deletes a resource.
func (client *Client) DeleteResource(t *testing.T, token string, state *structpb.Struct) Answer {
	t.Helper()
	began := time.Now()
	_, err := client.Delete(t.Context(), &pulumirpc.DeleteRequest{
		Id: "one", Urn: urn(token), Name: "one", Type: token, Properties: state,
	})
	return client.answer(began, nil, err)
}

// Call calls a function.
func (client *Client) Call(t *testing.T, token string, inputs provider.Values) Answer {
	t.Helper()
	began := time.Now()
	response, err := client.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: token, Args: toStruct(t, inputs)})
	return client.answer(began, response.GetReturn(), err)
}

// Steps returns the engine's step for changed inputs: `same`, `update` or `replace`.
func (client *Client) Steps(t *testing.T, token string, state *structpb.Struct, before, after provider.Values) string {
	t.Helper()
	response, err := client.Diff(t.Context(), &pulumirpc.DiffRequest{
		Id: "one", Urn: urn(token), Name: "one", Type: token,
		Olds: state, OldInputs: client.checked(t, token, before), News: client.checked(t, token, after),
	})
	Must(t, err)
	replace := len(response.GetReplaces()) > 0
	for _, detail := range response.GetDetailedDiff() {
		replace = replace || strings.Contains(detail.GetKind().String(), "REPLACE")
	}
	switch {
	case response.GetDeleteBeforeReplace():
		return "delete before replace"
	case replace:
		return "replace"
	case response.GetChanges() == pulumirpc.DiffResponse_DIFF_SOME:
		return "update"
	default:
		return "same"
	}
}

func (client *Client) create(t *testing.T, token string, inputs provider.Values, request *pulumirpc.CreateRequest) Answer {
	t.Helper()
	request.Urn, request.Name, request.Type = urn(token), "one", token
	request.Properties = client.checked(t, token, inputs)
	began := time.Now()
	response, err := client.Create(t.Context(), request)
	return client.answer(began, response.GetProperties(), err)
}

func (client *Client) update(
	t *testing.T, token string, state *structpb.Struct, before, after provider.Values, preview bool,
) Answer {
	t.Helper()
	oldInputs, news := client.checked(t, token, before), client.checked(t, token, after)
	began := time.Now()
	response, err := client.Update(t.Context(), &pulumirpc.UpdateRequest{
		Id: "one", Urn: urn(token), Name: "one", Type: token, Olds: state, OldInputs: oldInputs, News: news, Preview: preview,
	})
	return client.answer(began, response.GetProperties(), err)
}

func (client *Client) check(t *testing.T, token string, inputs provider.Values) *pulumirpc.CheckResponse {
	t.Helper()
	response, err := client.Check(t.Context(), &pulumirpc.CheckRequest{
		Urn: urn(token), Name: "one", Type: token, News: toStruct(t, inputs), Olds: &structpb.Struct{}, RandomSeed: make([]byte, 32),
	})
	Must(t, err)
	return response
}

// checked returns the inputs as the provider completes them.
func (client *Client) checked(t *testing.T, token string, inputs provider.Values) *structpb.Struct {
	t.Helper()
	response := client.check(t, token, inputs)
	for _, failure := range response.GetFailures() {
		t.Fatal(failure)
	}
	return response.GetInputs()
}

func (client *Client) answer(began time.Time, state *structpb.Struct, err error) Answer {
	answer := Answer{State: state, Took: time.Since(began), Outputs: plain(state.AsMap()).(map[string]any)}
	time.Sleep(client.settle)
	answer.Log = client.engine.take()
	if err != nil {
		answer.Error = status.Convert(err).Message()
	}
	slices.Sort(answer.Log)
	return answer
}

// plain takes values out of their secret envelopes and drops the providers' own fields.
func plain(value any) any {
	object, isObject := value.(map[string]any)
	if !isObject {
		return value
	}
	if object["4dabf18193072939515e22adb298388d"] != nil {
		return plain(object["value"])
	}
	all := map[string]any{}
	for key, inner := range object {
		if !strings.HasPrefix(key, "__") {
			all[key] = plain(inner)
		}
	}
	return all
}

func urn(token string) string { return "urn:pulumi:dev::test::" + token + "::one" }

// Struct converts values for the wire. It drops nil values: the program does not set them.
func Struct(values provider.Values) (*structpb.Struct, error) {
	text, err := json.Marshal(With(values, nil))
	if err != nil {
		return nil, err
	}
	converted := &structpb.Struct{}
	return converted, converted.UnmarshalJSON(text)
}

func toStruct(t *testing.T, values provider.Values) *structpb.Struct {
	t.Helper()
	converted, err := Struct(values)
	Must(t, err)
	return converted
}
