package plugin

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// CLIEnded returns a channel that is closed when the CLI ends, by SIGKILL too: the CLI holds the other end of standard input.
var CLIEnded = sync.OnceValue(func() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	return ended
})

// EngineAddress returns the address of the CLI's engine, the last argument of every plugin.
func EngineAddress() (string, error) {
	if len(os.Args) < 2 {
		return "", errors.New("expected the address of the Pulumi engine as last argument, found no argument: " +
			"let the Pulumi CLI start this plugin")
	}
	return os.Args[len(os.Args)-1], nil
}

// Version returns the plugin's version from the folder the CLI keeps the plugin in, for example `resource-tls-v5.6.1`.
func Version() string {
	_, version, _ := strings.Cut(filepath.Base(filepath.Dir(os.Args[0])), "-v")
	return version
}
