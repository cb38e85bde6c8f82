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

const orderPlan = `{"Order Placed":{"required":["total"]}}`

func write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestValidateAgainstAPlan(t *testing.T) {
	file := write(t, "plan.json", orderPlan)
	const message = `{"type":"track","event":"Order Placed","userId":"u"}`
	out, code, err := command(t, message, "validate", "--plan", file)
	require.Equal(t, 2, code, "%v", err)
	require.Contains(t, out, "/properties/total: required: tracking plan: ")
	_, code, _ = command(t, message, "validate")
	require.Equal(t, 0, code, "without the plan it is valid")
	_, code, err = command(t, message, "validate", "--plan", write(t, "broken.json", `{"E":{"type":7}}`))
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, `event "E"`)
}

// A plan and a recording, as flags.
func TestServeOptions(t *testing.T) {
	record := write(t, "received.ndjson", `{"id":"0","mess`) // torn by a crash
	url := serving(t, "--source", "k=http", "--plan", write(t, "plan.json", orderPlan), "--record", record, "--keep-bytes", "100000")
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

func TestServeMistakes(t *testing.T) {
	for want, args := range map[string][]string{
		"no such file":                      {"--plan", "/none/plan.json"},
		"--record":                          {"--record", "/none/file"},
		"a tracking plan needs validation":  {"--no-validate", "--plan", write(t, "p.json", orderPlan)},
		"the kept messages need some bytes": {"--keep-bytes", "0"},
		`unknown field "statos"`:            {"--faults", `{"statos":500}`},
		"a rate limit must be":              {"--rate-window", "0s"},
	} {
		_, code, err := command(t, "", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
		require.Equal(t, 1, code)
		require.ErrorContains(t, err, want)
	}
}
