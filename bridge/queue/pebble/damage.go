package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// maxPlaces bounds the memory of what was reported; what is found after so many
// places is reported each time.
const maxPlaces = 10_000

// damages remembers the places that were reported, so that each is logged and
// counted once.
type damages struct {
	mu     sync.Mutex
	places map[string]bool
}

// first tells whether a place is new.
func (d *damages) first(place string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.places[place] {
		return false
	}
	if d.places == nil {
		d.places = map[string]bool{}
	}
	if len(d.places) < maxPlaces {
		d.places[place] = true
	}
	return true
}

// remedy is what an operator can do about damage.
func (s *Store) remedy() string { return remedyFor(s.dir) }

func remedyFor(dir string) string {
	return "stop the bridge and run: bridge repair --data-dir " + dir
}

// reportDamage logs damage and counts it, once for each place. attrs say more.
func (s *Store) reportDamage(place, message string, attrs ...any) {
	if !s.damages.first(place) {
		return
	}
	s.damaged.Add(1)
	s.opts.Logger.Error(message, append(attrs, "remedy", s.remedy())...)
}

// reportFile reports what the scrub, or Pebble itself, has found in a file.
func (s *Store) reportFile(d Damage) {
	s.reportDamage(fmt.Sprint(d.File, "@", d.Offset), "a file is damaged",
		"file", d.File, "offset", d.Offset, "bytes", d.Bytes, "error", d.Problem)
}

// reportCorruption is told by Pebble of a file that it cannot read.
func (s *Store) reportCorruption(info pebble.DataCorruptionInfo) {
	name := filepath.Base(info.Path)
	s.reportDamage(name, "a file is damaged", "file", name, "error", brief(info.Details))
}

// damagedFile says which file does not let the store be opened.
type damagedFile struct {
	Damage
	dir string
}

func (d *damagedFile) Error() string {
	return fmt.Sprintf("%s: %s: %s; %s", d.dir, queue.ErrDamaged, d.Damage, remedyFor(d.dir))
}

func (d *damagedFile) Unwrap() error { return queue.ErrDamaged }

// explainOpen turns an error of Pebble's Open into one that says what to do,
// where it comes from what the files hold. last is the file that was opened
// last before it.
func explainOpen(dir, last string, err error) error {
	var file *damagedFile
	if errors.As(err, &file) {
		return file
	}
	if errors.Is(err, pebble.ErrDBNotPristine) {
		return &damagedFile{Damage{File: formatMarker + "*", Problem: "it is not there, but data is"}, dir}
	}
	if !isDamage(err) && !isOptions(last) && !strings.Contains(err.Error(), wrongSize) {
		return fmt.Errorf("open queue in %s: %w", dir, err)
	}
	return fmt.Errorf("%s: %w: %s (read last: %s); %s", dir, queue.ErrDamaged, brief(err), last, remedyFor(dir))
}

// wrongSize is in Pebble's error for a table that is longer or shorter than its
// manifest says, which has no type.
const wrongSize = "object size mismatch"

// isOptions tells whether a file is the one in which Pebble keeps its options:
// what is wrong with it is an error of no type.
func isOptions(name string) bool {
	ok, _ := filepath.Match("OPTIONS-*", name)
	return ok
}

// isDamage tells errors that come from what the files hold, or from one that is
// not there, from those of a disk that does not answer or refuses.
func isDamage(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return errors.Is(err, queue.ErrDamaged) || pebble.IsCorruptionError(err) ||
		errors.Is(err, record.ErrInvalidChunk) || errors.Is(err, record.ErrZeroedChunk) || errors.Is(err, record.ErrUnexpectedEOF) ||
		errors.Is(err, fs.ErrNotExist)
}

// damagedAt reports something of the queue that cannot be read.
func (q *connQueue) damagedAt(kind byte, seq uint64, message string, err error) {
	q.store.reportDamage(fmt.Sprintf("%c/%d/%d", kind, q.conn, seq), message,
		"connector", q.name, kindName[kind], seq, "error", brief(err))
}

// kindName is what the number in a key counts.
var kindName = map[byte]string{
	keyDead: "dead_letter", keyIDs: "ids_of_record", keyMark: "mark", keyMissed: "outcomes_of_record", keyPartial: "outcomes_of_record",
	keyRecord: "record",
}

// lockError says who is in the way.
func lockError(dir string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.EAGAIN && errno != syscall.EACCES {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	return fmt.Errorf("%s: %w: another bridge runs on it; stop that one, or give this one a directory of its own: %w", dir, queue.ErrLocked, err)
}
