package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--open", "--rudder-url", rudderStack(t).URL, "--write-key", "wk", "--data-dir", t.TempDir(), "--admin-token", "s3cret")
	env := []string{"BRIDGE_ADMIN=" + strings.TrimPrefix(s.Admin, "http://")}
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--live"}} {
		stdout, stderr := runBridge(t, env, 0, args...)
		require.Empty(t, stdout+stderr)
	}
	// Without the token, which its answer therefore cannot depend on.
	_, stderr := runBridge(t, nil, 1, "healthcheck", "--url", s.Admin+"/status")
	require.Equal(t, "error: "+s.Admin+"/status answered 401\n", stderr)

	s.Kill()
	_, stderr = runBridge(t, env, 1, "healthcheck")
	require.Regexp(t, `^error: http://127.0.0.1:\d+/readyz: .+\n$`, stderr)
}
