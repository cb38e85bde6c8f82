package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// A plan and a recording, as flags.
func TestServeOptions(t *testing.T) {
	record := write(t, "received.ndjson", `{"id":"0","mess`) // torn by a crash
	url := serving(t, "--source", "k=http", "--plan", "testdata/in/plan.json", "--record", record, "--keep-bytes", "100000")
	send := func(message string) {
		require.Equal(t, 200, status(t, "POST", strings.Replace(url, "http://", "http://k@", 1)+"/v1/track", message))
	}
	send(`{"event":"Order Placed","userId":"u","messageId":"m"}`)

	text, err := os.ReadFile(record)
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	require.Len(t, lines, 3, "%s", text)
	require.True(t, json.Valid([]byte(lines[1])), "the new line begins on its own: %s", lines[1])
	require.Contains(t, string(text), `"in":"plan"`)
	require.Contains(t, string(text), `"valid":false`)
}

// Faults can be there from the start, headers have RudderStack's limit, and the
// page is found from where one looks for it.
func TestServeFaultsAndLimits(t *testing.T) {
	url := serving(t, "--faults", `[{"status":403,"contains":"poison"}]`)
	send := func(message string) int {
		return status(t, "POST", strings.Replace(url, "http://", "http://wkHTTP@", 1)+"/v1/track", message)
	}
	require.Equal(t, 200, send(`{"userId":"u"}`))
	require.Equal(t, 403, send(`{"userId":"poison"}`))
	require.Equal(t, 200, status(t, "GET", url+"/_mock", ""), "after a redirect")
	for size, want := range map[int]int{500_000: 200, 600_000: 431} {
		long := func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("x", size)) }
		require.Equal(t, want, status(t, "GET", url+"/health", "", long))
	}
}
