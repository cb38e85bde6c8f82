package schemas

import (
	"embed"
	"io/fs"
	"strings"
)

//go:generate go run ./generate

// The directories are named whole so that the generator still builds when
// somebody has removed every schema that it is about to write.
//
//go:embed glossary.json braze rudder
var files embed.FS

const suffix = ".schema.json"

// Names lists the schemas, sorted: braze/ and an event type or batch, rudder/
// and a call or batch. Each name is one for Schema.
func Names() []string {
	// Glob fails on a bad pattern only.
	paths, _ := fs.Glob(files, "*/*"+suffix)
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(path, suffix))
	}
	return names
}

// Schema returns a JSON Schema (draft 7) by its name, such as
// braze/users.messages.email.Open or rudder/track, as it stands on disk. Every
// schema stands alone and refers to no other file. The bytes are the caller's.
func Schema(name string) ([]byte, bool) {
	raw, err := files.ReadFile(name + suffix)
	return raw, err == nil
}
