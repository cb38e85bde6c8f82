// Package page is the operator's page: connectors, what is pending and why, dead
// letters, replays, drift, and the configuration. It is plain HTML, CSS and
// JavaScript that needs no build and loads nothing from elsewhere. It knows
// nothing itself: what it shows it asks for at the API beside it, under /api/.
package page

import (
	"embed"
	"net/http"

	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

//go:embed assets
var files embed.FS

// Handler returns the page: GET and HEAD of / and of what is under /assets/.
// Anything else is 404.
func Handler() http.Handler { return webpage.Handler(files, "/") }
