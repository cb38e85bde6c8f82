package backfill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stdin is what names standard input.
const stdin = "-"

// file is a file to read; its size is 0 for standard input.
type file struct {
	path string
	size int64
}

var endings = []string{".avro", ".json", ".jsonl", ".ndjson"}

// find finds the files that the arguments name, with their bytes: of a directory
// those that are called *.avro, *.json, *.jsonl or *.ndjson, or these with .gz,
// at any depth and in order. Paths are absolute, as the progress file has them.
func find(cfg Config) (files []file, total int64, err error) {
	others := 0
	for _, arg := range cfg.Files {
		if arg == stdin {
			files = append(files, file{path: stdin})
			continue
		}
		root, err := filepath.Abs(arg)
		if err != nil {
			return nil, 0, err
		}
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if path != root && !slices.Contains(endings, filepath.Ext(strings.TrimSuffix(path, ".gz"))) {
				others++
				return nil
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			files, total = append(files, file{path, info.Size()}), total+info.Size()
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	if others > 0 {
		fmt.Fprintf(cfg.Stderr, "backfill: %d files are not read: their names do not end in %s or these with .gz\n", others, strings.Join(endings, ", "))
	}
	if len(files) == 0 {
		return nil, 0, errors.New("there is no file to read")
	}
	return files, total, nil
}
