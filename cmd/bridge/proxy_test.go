package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A proxy of the environment is used for RudderStack, apart from names in
// NO_PROXY and this machine itself.
func TestProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1000)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.String()
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, "ok")
		}
	}))
	t.Cleanup(proxy.Close)
	env := []string{"HTTP_PROXY=" + proxy.URL, "NO_PROXY=.example.org"}
	s := serve(t, env, "--braze-token", "s3cret", "--rudder-url", "http://rudder.example.com", "--write-key", "wk", "--data-dir", t.TempDir())
	s.post(t, twoEvents)
	deadline := time.After(30 * time.Second)
	for posted := false; !posted; {
		select {
		case request := <-asked:
			posted = request == "POST http://rudder.example.com/v1/batch"
		case <-deadline:
			t.Fatal("the proxy was not asked: " + s.output(t))
		}
	}
	s.signal(t, syscall.SIGTERM)
	s.end()
	for len(asked) > 0 {
		<-asked
	}
	for _, url := range []string{rudderStack(t).URL, "http://localhost:1", "http://rudder.invalid.example.org"} {
		runBridge(t, env, 1, "check", "--connect", "--open", "--rudder-url", url, "--write-key", "wk")
		require.Empty(t, asked, url)
	}
}
