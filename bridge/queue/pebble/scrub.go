package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

const (
	// scrubRate bounds how fast a scrub reads, in bytes a second, however much
	// there is and however little time.
	scrubRate = 8 << 20
	// scrubShare is the part of the time in which a scrub means to be done; the
	// rest is for what is stored meanwhile.
	scrubShare = 0.9
	// scrubPause is the least that a scrub waits at a time: fewer, longer pauses
	// cost less.
	scrubPause = 20 * time.Millisecond
	// scrubRest is the least time between the beginnings of two scrubs.
	scrubRest = time.Second
)

// making knows which files Pebble is writing at the moment, by the job that
// writes them. They are not whole yet.
type making struct {
	mu    sync.Mutex
	files map[string]int
}

func (m *making) begin(job int, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[string]int{}
	}
	m.files[filepath.Base(path)] = job
}

func (m *making) end(job int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, j := range m.files {
		if j == job {
			delete(m.files, name)
		}
	}
}

func (m *making) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.files[name]
	return ok
}

// listen takes note of what Pebble does with files.
func (s *Store) listen(l *pebble.EventListener) {
	l.TableCreated = func(i pebble.TableCreateInfo) { s.making.begin(i.JobID, i.Path) }
	l.BlobFileCreated = func(i pebble.BlobFileCreateInfo) { s.making.begin(i.JobID, i.Path) }
	l.FlushEnd = func(i pebble.FlushInfo) { s.making.end(i.JobID) }
	l.CompactionEnd = func(i pebble.CompactionInfo) { s.making.end(i.JobID) }
	l.DataCorruption = s.reportCorruption
}

// reader reads the files of the store, at first without a pause.
func (s *Store) reader() *rawReader {
	return &rawReader{
		fs: s.opts.FS, dir: s.dir,
		entry:  func(rawEntry) error { return nil },
		value:  func(uint64, []byte, []byte) error { return nil },
		damage: s.reportFile,
		pace:   func(ctx context.Context, _ int) error { return ctx.Err() },
	}
}

// startScrub starts the scrub, if there is to be one.
func (s *Store) startScrub() {
	if s.opts.ScrubEvery <= 0 {
		return
	}
	s.upkeep.Add(1)
	go func() {
		defer s.upkeep.Done()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			select {
			case <-s.done:
			case <-s.failed:
			}
			cancel()
		}()
		for ctx.Err() == nil {
			s.scrubOnce(ctx)
		}
	}()
}

// scrubOnce reads everything once, at an even pace.
func (s *Store) scrubOnce(ctx context.Context) {
	begun := s.opts.Now()
	files, err := listFiles(s.opts.FS, s.dir)
	if err != nil {
		s.opts.Logger.Error("scrub: cannot list the files", "error", err)
	}
	p := newPacer(files, s.opts.ScrubEvery, s.opts.pause)
	found := 0
	for _, f := range files {
		n, err := s.scrubFile(ctx, f, p)
		found += n
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			found++
			s.reportFile(Damage{File: f.name, Problem: brief(err)})
		}
	}
	s.scrubbed.Store(s.opts.Now().UnixNano())
	s.opts.Logger.Info("scrub: everything was read once", "files", len(files), "bytes", p.read,
		"damaged_places", found, "took", s.opts.Now().Sub(begun))
	// A small store is read long before its time is over.
	rest := s.opts.ScrubEvery - s.opts.Now().Sub(begun)
	_ = s.opts.pause(ctx, max(rest, min(scrubRest, s.opts.ScrubEvery)))
}

// scrubFile reads a file and reports what is damaged in it. What seems damaged
// is read a second time a little later: it may have been written at the time.
// The newest log is left out: it is being written, and is checked when it is not
// the newest any more and at the next start.
func (s *Store) scrubFile(ctx context.Context, f rawFile, p *pacer) (int, error) {
	places, err := s.checkFile(ctx, f, p)
	if len(places) == 0 || err != nil {
		return 0, err
	}
	if err := s.opts.pause(ctx, scrubRest); err != nil {
		return 0, err
	}
	// Not at the pace at which all is read once: that knows nothing of it.
	again := &pacer{rate: scrubRate, pause: s.opts.pause, left: math.MaxInt64}
	places, err = s.checkFile(ctx, f, again)
	for _, d := range places {
		s.reportFile(d)
	}
	return len(places), err
}

// checkFile returns the damaged places of a file, unless it is gone or is being
// written.
func (s *Store) checkFile(ctx context.Context, f rawFile, p *pacer) ([]Damage, error) {
	if s.making.has(f.name) || (f.kind == logFile && s.isNewestLog(f)) {
		return nil, nil
	}
	r := s.reader()
	r.pace = p.wait
	r.entry = checkEntry
	r.value = func(_ uint64, key, value []byte) error { return checkValue(key, value, &p.body) }
	var places []Damage
	r.damage = func(d Damage) { places = append(places, d) }
	err := r.read(ctx, f)
	if _, gone := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, f.name)); errors.Is(gone, fs.ErrNotExist) || s.making.has(f.name) {
		return nil, nil // what was read may have been something else by then
	}
	return places, err
}

func (s *Store) isNewestLog(f rawFile) bool {
	files, err := listFiles(s.opts.FS, s.dir)
	if err != nil {
		return true
	}
	newest := newestLog(files)
	return newest == "" || newest == f.name
}

// checkEntry takes apart what a table or a log holds.
func checkEntry(e rawEntry) error {
	if !e.isSet() || e.apart || len(e.key) == 0 {
		return nil
	}
	var body []byte
	return checkValue(e.key, e.value, &body)
}

// checkValue takes a value apart as its readers do. body is memory to use.
func checkValue(key, value []byte, body *[]byte) error {
	var err error
	switch key[0] {
	case keyRecord:
		var h wire.Header
		if h, err = parseHeader(value, nil); err == nil {
			*body, err = h.Unpack(*body)
		}
		if err == nil {
			err = checkSeal(key, value)
		}
	case keyDead:
		number, _ := seqOf(key)
		_, err = parseLetter(number, value)
	case keyIDs:
		if len(value)%idSize != 0 {
			err = wire.ErrDamaged
		}
	case keyState:
		_, err = parseState(value)
	case keyMark, keyGone:
		_, err = parseMark(value)
	case keyReplay:
		_, err = parseReplay(value)
	case keyMissed, keyPartial:
		if len(value)%wordSize != 0 {
			err = wire.ErrDamaged
		}
	case keyName:
		if len(value) != 4 {
			err = wire.ErrDamaged
		}
	}
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	return nil
}

// pacer spreads the reading of so many bytes over a time.
type pacer struct {
	rate  float64 // bytes a second
	pause func(context.Context, time.Duration) error
	read  int64
	owed  time.Duration
	left  time.Duration // of the time that it was given; files may have grown since
	body  []byte
}

func newPacer(files []rawFile, in time.Duration, pause func(context.Context, time.Duration) error) *pacer {
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	rate := float64(total) / (in.Seconds() * scrubShare)
	left := max(in, time.Duration(float64(total)/scrubRate*float64(time.Second)))
	return &pacer{rate: min(rate, scrubRate), pause: pause, left: left}
}

// wait is called after n bytes were read.
func (p *pacer) wait(ctx context.Context, n int) error {
	p.read += int64(n)
	p.owed += time.Duration(float64(n) / p.rate * float64(time.Second))
	if p.owed < scrubPause {
		return ctx.Err()
	}
	owed := min(p.owed, p.left)
	p.left, p.owed = p.left-owed, 0
	return p.pause(ctx, owed)
}

// pauseFor waits for a time or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
