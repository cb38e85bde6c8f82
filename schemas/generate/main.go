// Command generate writes the JSON Schemas that are made from the glossary, one
// for each of Braze's event types.
//
//	go run ./schemas/generate -dir schemas          write what differs
//	go run ./schemas/generate -dir schemas -check   write nothing; exit 1 if a file is stale
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func main() {
	check := flag.Bool("check", false, "write nothing; exit 1 and name the files that are stale")
	dir := flag.String("dir", ".", "directory of the schemas")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	g, err := schemas.Load()
	if err != nil {
		return err
	}
	want, err := g.Files()
	if err != nil {
		return err
	}
	found, _ := filepath.Glob(filepath.Join(dir, "braze", "*.schema.json")) // it fails on a malformed pattern only
	for _, path := range found {
		if path = "braze/" + filepath.Base(path); want[path] == nil {
			want[path] = nil // the event type is gone
		}
	}
	var stale []string
	for _, path := range slices.Sorted(maps.Keys(want)) {
		file := filepath.Join(dir, filepath.FromSlash(path))
		have, err := os.ReadFile(file)
		switch {
		case err == nil && want[path] != nil && bytes.Equal(have, want[path]):
			continue
		case check:
			stale = append(stale, path)
			continue
		case want[path] == nil:
			err = os.Remove(file)
		default:
			err = os.WriteFile(file, want[path], 0o644)
		}
		if err != nil {
			return err
		}
		fmt.Println("updated", path)
	}
	if len(stale) > 0 {
		return fmt.Errorf("run make generate: these files are not what the glossary says: %q", stale)
	}
	return nil
}
