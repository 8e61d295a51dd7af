package command

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
	"pulumi-rancher-ha/lab/plugins/internal/providertest"
)

const (
	localCommand = "command:local:Command"
	localRun     = "command:local:run"
)

type object = map[string]any

func TestLoggingModesSelectTheLoggedStream(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for mode, expected := range map[any][]string{
		nil: {"err", "out"}, "stdoutAndStderr": {"err", "out"}, "stdout": {"out"}, "stderr": {"err"}, "none": nil,
	} {
		answer := client.CreateResource(t, localCommand, provider.Values{"create": "echo out; echo err >&2", "logging": mode})
		if !slices.Equal(answer.Log, expected) {
			t.Errorf("logging %v: expected %q, found %q", mode, expected, answer.Log)
		}
		if answer.Outputs.String("stdout") != "out" || answer.Outputs.String("stderr") != "err" {
			t.Errorf("logging %v: expected outputs in every mode, found %v", mode, answer.Outputs)
		}
	}
}

func TestALineThatDoesNotEndInANewlineIsLogged(t *testing.T) {
	answer := providertest.InProcess(t, Provider()).CreateResource(t, localCommand, provider.Values{"create": "echo first; printf last"})
	if !slices.Equal(answer.Log, []string{"first", "last"}) {
		t.Errorf("expected both lines, found %q", answer.Log)
	}
}

func TestOutputsOfLocalCommands(t *testing.T) {
	folder := t.TempDir()
	client := providertest.InProcess(t, Provider())
	for name, test := range map[string]struct {
		inputs   provider.Values
		expected string
	}{
		"one newline is cut":         {provider.Values{"create": `printf 'a\n\n'`}, "a\n"},
		"stdin":                      {provider.Values{"create": "cat", "stdin": "in\n\n"}, "in\n"},
		"no stdin":                   {provider.Values{"create": "cat"}, ""},
		"unread stdin of a megabyte": {provider.Values{"create": "echo a", "stdin": strings.Repeat("x", 1<<20)}, "a"},
		"environment":                {provider.Values{"create": "echo $A $B", "environment": object{"A": "1", "B": "2"}}, "1 2"},
		"folder":                     {provider.Values{"create": "pwd", "dir": folder}, folder},
		"interpreter":                {provider.Values{"create": "x", "interpreter": []any{"/bin/echo", "-n", "y"}}, "y x"},
		"no command":                 {provider.Values{"update": "echo a"}, ""},
	} {
		answer := client.CreateResource(t, localCommand, test.inputs)
		if answer.Error != "" || answer.Outputs.String("stdout") != test.expected {
			t.Errorf("%s: expected stdout %q, found %q %s", name, test.expected, answer.Outputs.String("stdout"), answer.Error)
		}
	}
}

func TestErrorsOfLocalCommands(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for name, test := range map[string]struct {
		inputs   provider.Values
		expected string
	}{
		"exit code": {
			provider.Values{"create": `echo 'said "this"'; exit 3`},
			`exit status 3: running "echo 'said \"this\"'; exit 3":` + "\nsaid \"this\"\n",
		},
		"standard error": {provider.Values{"create": "echo err >&2; exit 3"}, "exit status 3: running \"echo err >&2; exit 3\":\nerr\n"},
		"signal":         {provider.Values{"create": "kill -9 $$"}, "signal: killed: running \"kill -9 $$\":\n"},
		"wrong folder":   {provider.Values{"create": "a", "dir": "/no/such"}, "chdir /no/such: no such file or directory: running \"a\":\n"},
		"wrong program": {
			provider.Values{"create": "a", "interpreter": []any{"/no/such"}},
			"fork/exec /no/such: no such file or directory: running \"a\":\n",
		},
		"not UTF-8": {
			provider.Values{"create": `printf '\377'`},
			"stdout: expected UTF-8, found other bytes: encode them in the command, with base64 for example",
		},
	} {
		if answer := client.CreateResource(t, localCommand, test.inputs); answer.Error != test.expected {
			t.Errorf("%s: expected %q, found %q", name, test.expected, answer.Error)
		}
	}
}

func TestALoggedLineOf64KiBIsRefused(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	print := func(length string) string { return "head -c " + length + " /dev/zero | tr '\\0' x" }
	for _, test := range []struct {
		length, logging string
		refused         bool
	}{
		{"65535", "stdout", false},
		{"65536", "stdout", true},
		{"9000000", "stdout", true},
		{"9000000", "stderr", false},
		{"9000000", "none", false},
	} {
		answer := client.CreateResource(t, localCommand, provider.Values{"create": print(test.length), "logging": test.logging})
		if refused := strings.HasPrefix(answer.Error, "expected lines below 65536 bytes"); refused != test.refused {
			t.Errorf("%s bytes with logging %s: expected refused=%v, found %.100q", test.length, test.logging, test.refused, answer.Error)
		}
	}
}

func TestPreviousOutputIsInTheEnvironment(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	show := `echo "$PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR"`
	before := provider.Values{"create": "echo out; echo err >&2", "logging": "none"}
	state := client.CreateResource(t, localCommand, before).State
	for switched, expected := range map[any]string{nil: "out, err", true: "out, err", false: ", "} {
		after := providertest.With(before, provider.Values{"update": show, "addPreviousOutputInEnv": switched})
		if answer := client.UpdateResource(t, localCommand, state, before, after); answer.Outputs.String("stdout") != expected {
			t.Errorf("addPreviousOutputInEnv %v: expected %q, found %q", switched, expected, answer.Outputs.String("stdout"))
		}
	}
	if answer := client.CreateResource(t, localCommand, provider.Values{"create": show}); answer.Outputs.String("stdout") != ", " {
		t.Errorf("create: expected no previous output, found %q", answer.Outputs.String("stdout"))
	}
}

func TestUpdateRunsUpdateElseCreateElseNothing(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	before := provider.Values{"create": "echo created"}
	state := client.CreateResource(t, localCommand, before).State
	for name, test := range map[string]struct {
		changes  provider.Values
		expected string
	}{
		"update":  {provider.Values{"update": "echo updated"}, "updated"},
		"create":  {provider.Values{"create": "echo again"}, "again"},
		"nothing": {provider.Values{"create": nil, "stdin": "new"}, "created"},
	} {
		answer := client.UpdateResource(t, localCommand, state, before, providertest.With(before, test.changes))
		if answer.Outputs.String("stdout") != test.expected {
			t.Errorf("%s: expected %q, found %q", name, test.expected, answer.Outputs.String("stdout"))
		}
	}
}

func TestDeleteRunsWithTheInputsOfTheState(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	file := filepath.Join(t.TempDir(), "deleted")
	state := client.CreateResource(t, localCommand, provider.Values{
		"create": "echo out", "delete": "cat > $FILE; echo $PULUMI_COMMAND_STDOUT >> $FILE", "stdin": "in ",
		"environment": object{"FILE": file},
	}).State
	if answer := client.DeleteResource(t, localCommand, state); answer.Error != "" {
		t.Fatal(answer.Error)
	}
	if text, _ := os.ReadFile(file); string(text) != "in out\n" {
		t.Errorf("expected the state's stdin, environment and output, found %q", text)
	}
}

func TestAFailedDeleteFailsAndNoDeleteCommandDoesNot(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	for command, expected := range map[any]string{nil: "", "exit 6": "exit status 6: running \"exit 6\":\n"} {
		state := client.CreateResource(t, localCommand, provider.Values{"delete": command}).State
		if answer := client.DeleteResource(t, localCommand, state); answer.Error != expected {
			t.Errorf("delete %v: expected %q, found %q", command, expected, answer.Error)
		}
	}
}

func TestTriggersReplaceAndAllOtherInputsUpdate(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	before := provider.Values{"create": "echo a", "triggers": []any{"a", object{"b": 1}}}
	state := client.CreateResource(t, localCommand, before).State
	for name, test := range map[string]struct {
		changes  provider.Values
		expected string
	}{
		"nothing":      {nil, "same"},
		"create":       {provider.Values{"create": "echo b"}, "update"},
		"delete":       {provider.Values{"delete": "true"}, "update"},
		"stdin":        {provider.Values{"stdin": "b"}, "update"},
		"logging":      {provider.Values{"logging": "none"}, "update"},
		"unknown":      {provider.Values{"stdin": provider.Unknown}, "update"},
		"a trigger":    {provider.Values{"triggers": []any{"a", object{"b": 2}}}, "replace"},
		"no triggers":  {provider.Values{"triggers": nil}, "replace"},
		"both of them": {provider.Values{"triggers": []any{"b"}, "stdin": "b"}, "replace"},
	} {
		if found := client.Steps(t, localCommand, state, before, providertest.With(before, test.changes)); found != test.expected {
			t.Errorf("%s: expected %s, found %s", name, test.expected, found)
		}
	}
}

func TestPreviewsRunNothingAndShowWhatBecomesUnknown(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	file := filepath.Join(t.TempDir(), "ran")
	before := provider.Values{"create": "echo a", "stdin": "a"}
	state := client.CreateResource(t, localCommand, before).State
	touch := provider.Values{"create": "touch " + file}
	preview := func(changes provider.Values) providertest.Answer {
		return client.PreviewUpdate(t, localCommand, state, before, providertest.With(before, changes))
	}
	for name, test := range map[string]struct {
		answer   providertest.Answer
		expected string
	}{
		"create":           {client.PreviewCreate(t, localCommand, touch), provider.Unknown},
		"changed input":    {preview(touch), provider.Unknown},
		"unknown input":    {preview(object{"dir": provider.Unknown}), provider.Unknown},
		"additional input": {preview(object{"delete": "b"}), "a"},
	} {
		if stdout := test.answer.Outputs.String("stdout"); stdout != test.expected {
			t.Errorf("%s: expected stdout %q, found %q", name, test.expected, stdout)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("expected previews to run no command, found a command's file")
	}
}

func TestCancelKillsTheShellAlone(t *testing.T) {
	for name, test := range map[string]struct {
		command  string
		expected time.Duration
	}{
		"the shell's own process ends at once": {"echo begun; exec sleep 20", 0},
		"a process of the shell is waited for": {"echo begun; sleep 1; echo over", time.Second},
	} {
		client := providertest.InProcess(t, Provider())
		time.AfterFunc(200*time.Millisecond, func() { _, _ = client.Cancel(context.Background(), &emptypb.Empty{}) })
		answer := client.CreateResource(t, localCommand, provider.Values{"create": test.command})
		if !strings.HasPrefix(answer.Error, "signal: killed: running") || !slices.Equal(answer.Log, []string{"begun"}) {
			t.Errorf("%s: expected a killed command, found %q %q", name, answer.Error, answer.Log)
		}
		if answer.Took < test.expected || answer.Took > 10*time.Second {
			t.Errorf("%s: expected at least %v and below 10s, found %v", name, test.expected, answer.Took)
		}
	}
}

func TestACustomTimeoutKillsTheCommand(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	answer := client.CreateWithin(t, localCommand, provider.Values{"create": "exec sleep 20"}, 200*time.Millisecond)
	if !strings.HasPrefix(answer.Error, "signal: killed: running") || answer.Took > 10*time.Second {
		t.Errorf("expected a killed command, found %q after %v", answer.Error, answer.Took)
	}
}

func TestLocalRunReturnsInputsAndOutputs(t *testing.T) {
	client := providertest.InProcess(t, Provider())
	answer := client.Call(t, localRun, provider.Values{"command": "cat; echo err >&2", "stdin": "in", "logging": "none"})
	expected := provider.Values{"command": "cat; echo err >&2", "stdin": "in", "logging": "none", "stdout": "in", "stderr": "err"}
	providertest.Same(t, "local.run", expected, answer.Outputs)
	if answer := client.Call(t, localRun, provider.Values{"command": "exit 7"}); answer.Error != "exit status 7: running \"exit 7\":\n" {
		t.Errorf("expected exit status 7, found %q", answer.Error)
	}
}
