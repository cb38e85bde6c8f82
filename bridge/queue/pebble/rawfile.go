package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// Damage is a part of a file that is not what was written there.
type Damage struct {
	File    string `json:"file"`            // its name in the data directory
	Offset  int64  `json:"offset"`          // where it begins
	Bytes   int64  `json:"bytes,omitempty"` // how long it is; 0: not known
	Problem string `json:"problem"`
}

// String is the damage on one line.
func (d Damage) String() string {
	if d.Bytes == 0 {
		return fmt.Sprintf("%s at byte %d: %s", d.File, d.Offset, d.Problem)
	}
	return fmt.Sprintf("%s at byte %d (%d bytes): %s", d.File, d.Offset, d.Bytes, d.Problem)
}

// rawEntry is one change of a key as a table or a log holds it. Its bytes are
// valid during the call that brings it.
type rawEntry struct {
	kind       pebble.InternalKeyKind
	key, value []byte
	seq        uint64 // of the change; the larger is the newer
	apart      bool   // the value is in a blob file
}

// isSet and isDelete tell what a change does; one that is neither deletes the
// keys from key to value (not included).
func (e rawEntry) isSet() bool {
	return e.kind == pebble.InternalKeyKindSet || e.kind == pebble.InternalKeyKindSetWithDelete
}

func (e rawEntry) isDelete() bool {
	return e.kind == pebble.InternalKeyKindDelete || e.kind == pebble.InternalKeyKindSingleDelete ||
		e.kind == pebble.InternalKeyKindDeleteSized
}

func (e rawEntry) isRangeDelete() bool { return e.kind == pebble.InternalKeyKindRangeDelete }

// rawReader reads the files of a store without Pebble's own bookkeeping: each
// block on its own, so that a damaged one hides nothing but itself. It serves
// the scrub, which needs to see everything, and the repair, which has to do with
// what is left.
type rawReader struct {
	fs  vfs.FS
	dir string
	buf []byte
	// newest is the name of the log that was written last.
	newest string
	// unsealed counts the values in blob files that do not say whose they are.
	unsealed int

	// entry gets what tables and logs hold, value what blob files hold, with
	// the key that is written in the value.
	entry  func(rawEntry) error
	value  func(file uint64, key, value []byte) error
	damage func(Damage)
	// torn gets the end of a log that a crash has torn; nil: nobody asks.
	torn func(Damage)
	// pace is called after so many bytes were read; its error ends the reading.
	pace func(ctx context.Context, bytes int) error
}

// fileKind is what a file of the store holds, by the end of its name.
type fileKind string

const (
	tableFile fileKind = "sst"
	blobFile  fileKind = "blob"
	logFile   fileKind = "log"
)

// rawFile is a file of the store that holds data.
type rawFile struct {
	name   string
	kind   fileKind
	number uint64
	size   int64
}

// listFiles returns the files that hold data: blob files last, each kind in the
// order in which the files were made.
func listFiles(in vfs.FS, dir string) ([]rawFile, error) {
	names, err := in.List(dir)
	if err != nil {
		return nil, fmt.Errorf("read data directory: %w", err)
	}
	var files []rawFile
	for _, name := range names {
		f, ok := parseName(name)
		if !ok {
			continue
		}
		info, err := in.Stat(in.PathJoin(dir, name))
		if err != nil {
			continue // gone meanwhile
		}
		f.size = info.Size()
		files = append(files, f)
	}
	order := map[fileKind]int{tableFile: 0, logFile: 1, blobFile: 2}
	slices.SortFunc(files, func(a, b rawFile) int {
		return cmp.Or(cmp.Compare(order[a.kind], order[b.kind]), cmp.Compare(a.number, b.number))
	})
	return files, nil
}

// newestLog is the name of the last log of files that listFiles has returned.
func newestLog(files []rawFile) (name string) {
	for _, f := range files {
		if f.kind == logFile {
			name = f.name
		}
	}
	return name
}

func parseName(name string) (rawFile, bool) {
	number, kind, _ := strings.Cut(name, ".")
	switch fileKind(kind) {
	case tableFile, blobFile, logFile:
	default:
		return rawFile{}, false
	}
	n, err := strconv.ParseUint(number, 10, 64)
	return rawFile{name: name, kind: fileKind(kind), number: n}, err == nil
}

// read reads a file from end to end. A file that is gone is no error.
func (r *rawReader) read(ctx context.Context, f rawFile) error {
	file, err := r.fs.Open(r.fs.PathJoin(r.dir, f.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", f.name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("look at %s: %w", f.name, err), file.Close())
	}
	f.size = info.Size()
	switch f.kind {
	case tableFile:
		err = r.table(ctx, f, file)
	case blobFile:
		err = r.blobs(ctx, f, file)
	default:
		err = r.log(ctx, f, file)
	}
	return errors.Join(err, file.Close())
}

// block reads and checks a block and the five bytes that follow each: how it is
// compressed and its checksum. The result is valid until the next call.
func (r *rawReader) block(ctx context.Context, f rawFile, from io.ReaderAt, sum block.ChecksumType, h block.Handle) ([]byte, error) {
	if h.Offset > uint64(f.size) || h.Length+block.TrailerLen > uint64(f.size)-h.Offset {
		return nil, fmt.Errorf("block ends after the file's end at %d", f.size)
	}
	n := int(h.Length) + block.TrailerLen
	r.buf = slices.Grow(r.buf[:0], n)[:n]
	if _, err := from.ReadAt(r.buf, int64(h.Offset)); err != nil {
		return nil, err
	}
	if err := r.pace(ctx, n); err != nil {
		return nil, stop{err}
	}
	return unpackBlock(r.buf, sum)
}

// unpackBlock checks a block with its trailer and returns what is in it.
func unpackBlock(b []byte, sum block.ChecksumType) ([]byte, error) {
	n := len(b) - block.TrailerLen
	checksummer := block.Checksummer{Type: sum}
	if checksummer.Checksum(b[:n], b[n]) != binary.LittleEndian.Uint32(b[n+1:]) {
		return nil, errChecksum
	}
	how := block.CompressionIndicator(b[n])
	if how == block.NoCompressionIndicator {
		return b[:n], nil
	}
	size, err := block.DecompressedLen(how, b[:n])
	if err != nil || size > wire.MaxBody {
		return nil, errors.Join(errChecksum, err)
	}
	out := make([]byte, size)
	return out, block.DecompressInto(how, b[:n], out)
}

var errChecksum = errors.New("checksum does not match")

// stop is an error that ends the reading, unlike one that says that something
// is damaged.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// guard turns a panic into an error: a block whose checksum fits but whose
// content does not makes its decoder panic.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("content makes no sense: %v", p)
		}
	}()
	return f()
}

// note passes on damage, and returns err where that is to end the reading.
func (r *rawReader) note(d Damage, err error) error {
	var end stop
	if errors.As(err, &end) {
		return end.error
	}
	d.Problem = err.Error()
	r.damage(d)
	return nil
}
