// Package console is the page of the fake RudderStack: messages and verdicts, live, and
// faults to turn on and off. It is HTML, CSS and JavaScript that needs no build and loads
// nothing from elsewhere. Its data comes from the query API under /_mock/.
package console

import (
	"embed"
	"net/http"

	"github.com/currentsbridge/currentsbridge/internal/webpage"
)

//go:embed assets
var files embed.FS

// Handler serves the page: GET and HEAD of /_mock/ and of files under /_mock/assets/.
// Anything else is 404. A browser revalidates each file and gets 304 if it has not
// changed, so that a page never runs with modules of another version.
func Handler() http.Handler { return webpage.Handler(files, "/_mock/") }
