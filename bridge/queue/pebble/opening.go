package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// opening watches what Pebble does while it opens a store. Pebble passes over
// what it takes for the torn end of a log or of its manifest without a word,
// and then deletes every file that this does not name. So each log and manifest
// is checked before Pebble reads it, and nothing is deleted until it is known
// that nothing is missing.
type opening struct {
	vfs.FS
	dir    string
	log    *slog.Logger
	newest string    // the log that the last run wrote to
	before []rawFile // what was there

	trouble trouble // for as long as the store is open

	mu       sync.Mutex
	done     bool
	refused  bool     // nothing may be deleted
	last     string   // file that was opened last
	unwanted []string // what Pebble would delete
}

func newOpening(in vfs.FS, dir string, log *slog.Logger) (*opening, error) {
	o := &opening{FS: in, dir: dir, log: log}
	files, err := listFiles(in, dir)
	if err != nil {
		return nil, err
	}
	o.before, o.newest = files, newestLog(files)
	return o, nil
}

// Unwrap is for Pebble, which looks for what lies below.
func (o *opening) Unwrap() vfs.FS { return o.FS }

// Open checks a log or a manifest before Pebble reads it.
func (o *opening) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	o.mu.Lock()
	done := o.done
	o.last = o.PathBase(name)
	o.mu.Unlock()
	if !done {
		if err := o.check(name); err != nil {
			return nil, err
		}
	}
	if f, ok := parseName(o.PathBase(name)); ok && f.kind == blobFile {
		if err := o.checkBlobs(name); err != nil {
			return nil, err
		}
	}
	return o.FS.Open(name, opts...)
}

// checkBlobs looks at the frame of a blob file before Pebble does. Pebble panics
// where that is damaged, or the file is not there.
func (o *opening) checkBlobs(path string) error {
	d := Damage{File: o.PathBase(path)}
	file, err := o.FS.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		d.Problem = "it is not there"
		return &damagedFile{d, o.dir}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return fmt.Errorf("look at %s: %w", d.File, err)
	}
	if _, err := blob.NewFileReader(context.Background(), readable, blob.FileReaderOptions{}); err != nil {
		d.Offset, d.Problem = max(0, readable.Size()-blobFooter), "the blob file's frame: "+brief(err)
		return &damagedFile{d, o.dir}
	}
	return nil
}

func (o *opening) check(path string) error {
	name := o.PathBase(path)
	f, isData := parseName(name)
	isLog := isData && f.kind == logFile
	if !isLog && !strings.HasPrefix(name, "MANIFEST-") {
		return nil
	}
	file, err := o.FS.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	st, err := inspectLog(file, info.Size(), f.number, name == o.newest)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(st.holes) > 0 {
		st.holes[0].File = name
		return &damagedFile{st.holes[0], o.dir}
	}
	if isLog && !st.closed && name != o.newest {
		return &damagedFile{Damage{File: name, Offset: st.tail, Problem: "its end is missing, and there is a later log"}, o.dir}
	}
	o.tell(name, isLog, st)
	return nil
}

// tell says what is given up at the end of a log. What a crash cuts off was
// never acknowledged.
func (o *opening) tell(name string, isLog bool, st logState) {
	switch {
	case st.given > 0:
		o.log.Warn("the end of a log is torn, as a crash leaves it, and is given up",
			"file", name, "offset", st.tail, "bytes", st.given)
	case isLog && !st.closed:
		o.log.Info("a log was not closed, as after a crash; it ends with a whole record",
			"file", name, "offset", st.tail, "bytes", st.given)
	}
}

// Remove keeps the files of the store until settle.
func (o *opening) Remove(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	base := o.PathBase(name)
	if _, ok := parseName(base); ok || strings.HasPrefix(base, "MANIFEST-") {
		if o.refused {
			return nil
		}
		if !o.done {
			o.unwanted = append(o.unwanted, name)
			return nil
		}
	}
	return o.FS.Remove(name)
}

// settle ends the watch. Where refused, no file of the store is deleted any
// more, else those that Pebble has wanted to delete meanwhile are.
func (o *opening) settle(refused bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return nil
	}
	o.done, o.refused = true, refused
	if refused {
		return nil
	}
	var failed error
	for _, name := range o.unwanted {
		if err := o.FS.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	o.unwanted = nil
	return failed
}

func (o *opening) lastOpened() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// openDB opens Pebble's store. It refuses one that would come up with less than
// what its files hold: a manifest that lost its end names files that are older
// than what is there, and Pebble would delete the newer ones.
func (s *Store) openDB() (err error) {
	o, err := newOpening(s.opts.FS, s.dir, s.opts.Logger)
	if err != nil {
		return err
	}
	s.opening = o
	known, err := s.knownStates()
	if err != nil {
		return err
	}
	tuned := tuning(s.opts)
	tuned.FS = o
	tuned.Lock = s.lock
	s.wiper.tune(tuned)
	s.listen(tuned.EventListener)
	tuned.EventListener.BackgroundError = func(err error) { o.trouble.note(o.log, err) }
	err = guard(func() error {
		s.db, err = pebble.Open(s.dir, tuned)
		return err
	})
	if err != nil {
		return errors.Join(explainOpen(s.dir, o.lastOpened(), err), o.settle(true))
	}
	if err := errors.Join(s.compareStates(known), s.checkOrphans(o.before)); err != nil {
		return errors.Join(err, o.settle(true), s.db.Close())
	}
	return o.settle(false)
}

// tableState is the newest of a connector's totals in a table.
type tableState struct {
	table string
	seq   uint64
	totals
}

// knownStates reads the totals out of all tables, in use or not. Totals are
// among the last keys of a table, so that this is a few reads for each.
func (s *Store) knownStates() (map[uint32]tableState, error) {
	known := map[uint32]tableState{}
	for _, f := range s.opening.before {
		if f.kind != tableFile {
			continue
		}
		r := s.reader()
		r.entry = func(e rawEntry) error {
			if len(e.key) != connKeyLen || e.key[0] != keyState || !e.isSet() {
				return nil
			}
			conn := binary.BigEndian.Uint32(e.key[1:])
			st, err := parseState(e.value)
			if err == nil && st.progress() >= known[conn].progress() {
				known[conn] = tableState{f.name, e.seq, st.totals}
			}
			return nil
		}
		r.damage = func(Damage) {} // met where it is needed, else by the scrub
		if err := r.lastBlocks(context.Background(), f, []byte{keyState}); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// compareStates refuses a store that knows less than one of its files.
func (s *Store) compareStates(known map[uint32]tableState) error {
	for conn, k := range known {
		value, err := s.get(connKey(keyState, conn))
		if err != nil {
			return explainOpen(s.dir, s.opening.lastOpened(), err)
		}
		st := newState()
		if value != nil {
			if st, err = parseState(value); err != nil {
				return fmt.Errorf("%s: totals of connector %d: %w; %s", s.dir, conn, err, s.remedy())
			}
		}
		if st.progress() < k.progress() {
			return fmt.Errorf("%s: %w: %s is newer than what the MANIFEST names, which lost its end; %s",
				s.dir, queue.ErrDamaged, k.table, s.remedy())
		}
	}
	return nil
}

// progress grows with everything that happens to a queue, so that of two totals
// the one with more of it is the newer.
func (t totals) progress() uint64 {
	l := t.ledger
	return t.next + t.low + t.nextDead + l.Received + l.Delivered + l.Filtered + l.Purged + l.Replayed
}
