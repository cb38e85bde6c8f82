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
	stale := compare(dir, want)
	if check && len(stale) > 0 {
		return fmt.Errorf("run make generate: these files are not what the glossary says: %q", stale)
	}
	for _, path := range stale {
		file := filepath.Join(dir, filepath.FromSlash(path))
		content, wanted := want[path]
		if wanted {
			err = os.WriteFile(file, content, 0o644)
		} else {
			err = os.Remove(file)
		}
		if err != nil {
			return err
		}
		fmt.Println("updated", path)
	}
	return nil
}

// compare names the files that differ, are missing, or belong to an event type
// that is gone, sorted.
func compare(dir string, want map[string][]byte) (stale []string) {
	for path, content := range want {
		if have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path))); err != nil || !bytes.Equal(have, content) {
			stale = append(stale, path)
		}
	}
	found, _ := filepath.Glob(filepath.Join(dir, "braze", "*.schema.json")) // it fails on a malformed pattern only
	for _, path := range found {
		path = "braze/" + filepath.Base(path)
		if _, wanted := want[path]; !wanted {
			stale = append(stale, path)
		}
	}
	slices.Sort(stale)
	return stale
}
