// Package console is the page of the fake RudderStack: what came in, live, with
// the verdicts, and the faults to switch on and off. It is plain HTML, CSS and
// JavaScript that needs no build and loads nothing from elsewhere. What it
// shows it asks for at the query API beside it, under /_mock/.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Paths that Handler answers.
const (
	root   = "/_mock/"
	assets = "/_mock/assets/"
)

//go:embed assets
var files embed.FS

// policy lets the page load and ask nothing but this server, run no code from
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

type asset struct {
	kind, etag string
	text       []byte
}

// Handler returns the page: GET and HEAD of /_mock/ and of what is under
// /_mock/assets/. Anything else is 404. A browser asks again each time and gets
// 304 for what it has, so that a page never runs with the modules of another
// version.
func Handler() http.Handler {
	served := load()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := served[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Content-Type", found.kind)
		header.Set("ETag", found.etag)
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.text))
	})
}

// load reads the assets by the path that they are served at.
func load() map[string]asset {
	served := map[string]asset{}
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		at := assets + strings.TrimPrefix(name, "assets/")
		if name == "assets/index.html" {
			at = root
		}
		served[at] = asset{kinds[path.Ext(name)], `"` + hex.EncodeToString(sum[:16]) + `"`, text}
		return nil
	})
	if err != nil {
		panic(err) // they are part of the program
	}
	return served
}
