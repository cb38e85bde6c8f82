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
		code, stdout, stderr := runBridge(t, env, args...)
		require.Zero(t, code, stderr)
		require.Empty(t, stdout+stderr)
	}
	// Without the token, which its answer therefore cannot depend on.
	code, _, stderr := runBridge(t, nil, "healthcheck", "--url", s.Admin+"/status")
	require.Equal(t, 1, code)
	require.Equal(t, "error: "+s.Admin+"/status answered 401\n", stderr)

	s.Kill()
	code, _, stderr = runBridge(t, env, "healthcheck")
	require.Equal(t, 1, code)
	require.Regexp(t, `^error: http://127.0.0.1:\d+/readyz: .+\n$`, stderr)
}
