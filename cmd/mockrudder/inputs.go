package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// inputs are files that are read one after the other, with progress shown.
type inputs struct {
	stdin   io.Reader
	meter   *progress.Meter
	files   []string
	skipped []string // files of directories whose names say that they are something else
}

// readable are the names of files that are read of a directory.
const readable = "*.avro, *.json, *.jsonl, *.ndjson or these with .gz"

// newInputs finds the files that the arguments name: of a directory all that
// are called as readable says, at any depth; -
// is standard input. An argument that cannot be found is an error, and the
// others are read all the same.
func newInputs(what string, stdin io.Reader, stderr io.Writer, args []string) (*inputs, error) {
	in := &inputs{stdin: stdin}
	var total int64
	var missing error
	for _, arg := range args {
		if arg == "-" {
			in.files = append(in.files, arg)
			total = -1 << 62 // nobody knows how much comes
			continue
		}
		missing = errors.Join(missing, filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if path != arg && !recording(path) {
				in.skipped = append(in.skipped, path)
				return nil
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
			in.files = append(in.files, path)
			return nil
		}))
	}
	in.tellSkipped(what, stderr)
	if missing == nil && len(in.files) == 0 {
		return nil, fmt.Errorf("%s: no file called %s", strings.Join(args, ", "), readable)
	}
	in.meter = progress.Start(stderr, what, progress.Bytes, max(total, 0))
	return in, missing
}

// tellSkipped names the files that are not read.
func (in *inputs) tellSkipped(what string, stderr io.Writer) {
	const most = 20
	for _, path := range in.skipped[:min(most, len(in.skipped))] {
		fmt.Fprintf(stderr, "%s: %s is not read: its name is not %s\n", what, path, readable)
	}
	if more := len(in.skipped) - most; more > 0 {
		fmt.Fprintf(stderr, "%s: and %d more files are not read\n", what, more)
	}
}

func recording(path string) bool {
	switch filepath.Ext(strings.TrimSuffix(path, ".gz")) {
	case ".avro", ".json", ".jsonl", ".ndjson":
		return true
	}
	return false
}

// each gives every file to read, which says why it could not be read to its
// end. It goes on with the next file then, and returns all that went wrong.
func (in *inputs) each(read func(name string, r io.Reader) error) error {
	defer in.meter.Stop()
	var unread error
	for _, file := range in.files {
		unread = errors.Join(unread, in.one(file, read))
	}
	return unread
}

func (in *inputs) one(file string, read func(name string, r io.Reader) error) error {
	if file == "-" {
		return read("stdin", in.meter.Reader(in.stdin))
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(file, in.meter.Reader(f))
}
