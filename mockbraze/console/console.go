// Package console is the page of the fake Braze: the form that makes a Current,
// in Braze's own steps, and a view that watches one. It is plain HTML, CSS and
// JavaScript. What it shows it asks for at the control API beside it, under
// /api/.
package console

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
