// Package webpage serves pages that are part of the program: plain HTML, CSS
// and JavaScript that need no build and load nothing from elsewhere.
package webpage

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

type asset struct {
	kind, etag string
	text       []byte
}

// Handler serves the files of a directory named assets: index.html at root,
// which ends with a slash, and all others under root + "assets/", together with
// those that pages share: dom.js, pretty.js and theme.css. Anything else
// is 404. A browser asks again each time and gets 304 for what it has, so that
// a page never runs with the modules of another version. It panics where the
// files cannot be read: they are embedded.
func Handler(files fs.FS, root string) http.Handler {
	served := map[string]asset{}
	load(served, shared, "shared", root)
	load(served, files, "assets", root)
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

// load adds the files of a directory, by the path that they are served at.
func load(served map[string]asset, files fs.FS, dir, root string) {
	err := fs.WalkDir(files, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		at := root + "assets" + strings.TrimPrefix(name, dir)
		if name == "assets/index.html" {
			at = root
		}
		served[at] = asset{kinds[path.Ext(name)], `"` + hex.EncodeToString(sum[:16]) + `"`, text}
		return nil
	})
	if err != nil {
		panic(err)
	}
}
