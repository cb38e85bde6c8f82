// Package webpage serves pages that are part of the program: plain HTML, CSS
// and JavaScript that need no build and load nothing from elsewhere.
package webpage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// policy lets a page load and ask nothing but its own server, run no code from
// text, and make no markup from text: what it shows was sent by anyone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// kinds are the media types of the assets. The system's own table is not asked,
// as it differs from machine to machine.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// shared are the modules and styles that more than one page uses.
//
//go:embed shared
var shared embed.FS

// Handler serves the files of a directory named assets: index.html at root,
// which ends with a slash, and all others under root + "assets/", together with
// those that pages share: dom.js, pretty.js and theme.css. Anything else
// is 404. A browser asks again each time and gets 304 for what it has, so that
// a page never runs with the modules of another version.
func Handler(files fs.FS, root string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, found := strings.CutPrefix(r.URL.Path, root+"assets/")
		switch {
		case r.URL.Path == root:
			name, found = "index.html", true
		case name == "index.html":
			found = false
		}
		text, err := fs.ReadFile(files, "assets/"+name)
		if err != nil {
			text, err = shared.ReadFile("shared/" + name)
		}
		if !found || err != nil {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Content-Type", kinds[path.Ext(name)])
		header.Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(text)))
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	})
}
