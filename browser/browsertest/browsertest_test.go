package browsertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
			setTimeout(() => document.body.append(Object.assign(document.createElement("i"), {textContent: "late"})), 100)
			fetch("`+other.URL+`/elsewhere").then(() => { p.textContent = "done"; throw new Error("thrown") })
		</script>`)
	}))
	defer server.Close()
	page := browsertest.Start(t).Open(t, server.URL)
	page.Go(server.URL)
	page.Until(`document.querySelector("i").textContent === "late"`)
	page.Shows("#p", "done")
	var wrong string
	require.Eventually(t, func() bool {
		wrong += strings.Join(page.Forgive(), "\n")
		return strings.Contains(wrong, "thrown")
	}, 30*time.Second, time.Millisecond, &wrong)
	require.Contains(t, wrong, "asked for "+other.URL+"/elsewhere")
	require.Contains(t, wrong, `console: "logged"`)
}

// A button that is covered at first, as one that has moved is by another, gets the click.
func TestAClickThatMissesIsMadeAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<link rel=icon href="data:,"><button id=b onclick="textContent = 'clicked'">here</button>
			<div id=cover style="position: fixed; inset: 0" onclick="console.error('not meant')"></div>
			<script>setTimeout(() => cover.remove(), 500)</script>`)
	}))
	defer server.Close()
	page := browsertest.Start(t).Open(t, server.URL)
	page.Go(server.URL)
	page.Click("#b")
	page.Shows("#b", "clicked")
}
