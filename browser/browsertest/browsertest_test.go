package browsertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
)

// What a page must not do has to be seen, or no test of a page means much.
func TestWhatAPageMustNotDoIsSeen(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<link rel=icon href="data:,"><p id=p>here</p><script>
			console.error("logged")
			fetch("`+other.URL+`/elsewhere").then(() => { p.textContent = "done"; throw new Error("thrown") })
		</script>`)
	}))
	defer server.Close()
	page := browsertest.Start(t).Open(t, server.URL)
	page.Go(server.URL)
	page.Shows("#p", "done")
	page.Until(`new Promise(done => setTimeout(() => done(true), 100))`) // for the exception to arrive
	wrong := strings.Join(page.Forgive(), "\n")
	require.Contains(t, wrong, "asked for "+other.URL+"/elsewhere")
	require.Contains(t, wrong, `console: "logged"`)
	require.Contains(t, wrong, "thrown")
}
