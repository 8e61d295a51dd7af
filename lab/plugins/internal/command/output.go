package command

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"pulumi-rancher-ha/lab/plugins/internal/provider"
)

// output collects what a command prints, and logs its lines as the input `logging` says.
type output struct {
	stdout, stderr io.Writer

	lock                   sync.Mutex
	stdoutText, stderrText bytes.Buffer
	// both holds both streams in the order of their writes, for errors.
	both bytes.Buffer
	log  lineLog
}

func newOutput(call provider.Call, inputs provider.Values) *output {
	output := &output{log: lineLog{log: call.Log}}
	logging := cmp.Or(inputs.String("logging"), "stdoutAndStderr")
	output.stdout = &stream{output, &output.stdoutText, logging == "stdout" || logging == "stdoutAndStderr"}
	output.stderr = &stream{output, &output.stderrText, logging == "stderr" || logging == "stdoutAndStderr"}
	return output
}

// result returns a command's outputs. The error of a failed command quotes the command and all its output, as the real provider's does.
func (output *output) result(failure error, command string) (provider.Values, error) {
	output.log.flush()
	if output.log.tooLong {
		return nil, fmt.Errorf("expected lines below %d bytes, found a longer one: "+
			"the real provider hangs on such a line, set `logging` to \"none\" or print shorter lines", maxLine)
	}
	if failure != nil {
		return nil, fmt.Errorf("%w: running %q:\n%s", failure, command, output.both.String())
	}
	values := provider.Values{}
	for name, text := range map[string]*bytes.Buffer{"stdout": &output.stdoutText, "stderr": &output.stderrText} {
		if !utf8.Valid(text.Bytes()) {
			return nil, fmt.Errorf("%s: expected UTF-8, found other bytes: encode them in the command, with base64 for example", name)
		}
		values[name] = strings.TrimSuffix(text.String(), "\n")
	}
	return values, nil
}

// stream is one of a command's output streams.
type stream struct {
	output *output
	text   *bytes.Buffer
	logged bool
}

func (stream *stream) Write(text []byte) (int, error) {
	stream.output.lock.Lock()
	defer stream.output.lock.Unlock()
	stream.text.Write(text)
	stream.output.both.Write(text)
	if stream.logged {
		stream.output.log.write(text)
	}
	return len(text), nil
}
