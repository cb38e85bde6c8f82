package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// inputs are files that are read one after the other, with progress shown.
type inputs struct {
	stdin   io.Reader
	meter   *progress.Meter
	files   []string
	missing []error // what was not found
}

// readable are the names of files that are read of a directory.
const readable = "*.avro, *.json, *.jsonl, *.ndjson or these with .gz"

// newInputs finds the files that the arguments name: of a directory all files at
// any depth that are named as readable says, and it names the others on standard error;
// - is standard input. The error says that there is none.
func newInputs(what string, stdin io.Reader, stderr io.Writer, args []string) (*inputs, error) {
	in := &inputs{stdin: stdin}
	var total int64
	for _, arg := range args {
		if arg == "-" {
			in.files = append(in.files, arg)
			total = math.MinInt64 / 2 // the size is unknown
			continue
		}
		if err := filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if path != arg && !isRecording(path) {
				fmt.Fprintf(stderr, "%s: %s is not read: its name is not %s\n", what, path, readable)
				return nil
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
			in.files = append(in.files, path)
			return nil
		}); err != nil {
			in.missing = append(in.missing, err)
		}
	}
	if len(in.missing) == 0 && len(in.files) == 0 {
		return nil, fmt.Errorf("%s: no file called %s", strings.Join(args, ", "), readable)
	}
	in.meter = progress.Start(stderr, what, progress.Bytes, max(total, 0))
	return in, nil
}

func isRecording(path string) bool {
	return slices.Contains([]string{".avro", ".json", ".jsonl", ".ndjson"}, filepath.Ext(strings.TrimSuffix(path, ".gz")))
}

// reader is what reads files, and is told of those that could not be read.
type reader interface {
	Stream(name string, r io.Reader) error
	Unread(err error)
}

// each has every file read. It returns what was not found and the errors of reading, after
// each of which it goes on with the next file.
func (in *inputs) each(to reader) error {
	defer in.meter.Stop()
	unread := in.missing
	for _, file := range in.files {
		if err := in.one(file, to.Stream); err != nil {
			unread = append(unread, err)
		}
	}
	for _, err := range unread {
		to.Unread(err)
	}
	return errors.Join(unread...)
}

func (in *inputs) one(file string, read func(name string, r io.Reader) error) error {
	if file == "-" {
		return read("stdin", io.TeeReader(in.stdin, in.meter))
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(file, io.TeeReader(f, in.meter))
}
