package gateway

import (
	"fmt"
	"net/http"
	"time"
)

// Paths with the same response at any time, as of an idle server 1.83.

func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprintf(w, `{"appType":"EMBEDDED","server":"UP","db":"UP","acceptingEvents":"TRUE","routingEvents":"TRUE",`+
		`"mode":"NORMAL","backendConfigMode":"JSON","lastSync":"%s","lastRegulationSync":""}`+"\n", time.Now().UTC().Format(time.RFC3339))
}

func version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write([]byte(`{"BuildDate":"2026-11-01T00:00:00Z","BuiltBy":"mockrudder","Commit":"","Features":["gzip-req-payload"],"Version":"1.83.0"}`))
}

func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: * \nDisallow: / \n"))
}

// docs takes the place of RudderStack's page about its HTTP API.
func docs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!DOCTYPE html>\n<title>RudderStack HTTP API</title>\n<p>A fake: the API is described at https://www.rudderstack.com/docs/api/http-api/\n"))
}
