// Package console is the page of the fake RudderStack: what came in, live, with
// the verdicts, and the faults to switch on and off. It is plain HTML, CSS and
// JavaScript that needs no build and loads nothing from elsewhere. What it
// shows it asks for at the query API beside it, under /_mock/.
package console

import (
	"embed"
	"net/http"

	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

//go:embed assets
var files embed.FS

// Handler returns the page: GET and HEAD of /_mock/ and of what is under
// /_mock/assets/. Anything else is 404. A browser asks again each time and gets
// 304 for what it has, so that a page never runs with the modules of another
// version.
func Handler() http.Handler { return webpage.Handler(files, "/_mock/") }
