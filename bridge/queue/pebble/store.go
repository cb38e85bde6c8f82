package pebble

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// maxName is the longest name of a connector, in bytes.
const maxName = 255

// Store is a queue.Store in a directory. Make one with Open.
type Store struct {
	opts Options
	dir  string
	db   *pebble.DB
	id   string // of the store, as text
	lock *pebble.Lock

	opening *opening // watches the files while they are opened

	// life is held for reading by everything that uses db, and taken before any
	// other lock; Close takes it for writing.
	life   sync.RWMutex
	ending sync.Once
	closed bool
	done   chan struct{} // closed when Close begins
	failed chan struct{} // closed when failure is set
	upkeep sync.WaitGroup
	kick   chan struct{} // asks for upkeep at once

	mu     sync.Mutex
	queues map[string]*connQueue // that were opened
	all    []*connQueue          // that upkeep looks after

	entries sync.Pool // of *entry
	leases  sync.Pool // of *lease

	wiper     wiper
	disk      disk
	unclaimed uint64 // bytes of history that is deleted and may still be on disk; upkeep only
	damaged   atomic.Int64
	damages   damages
	scrubbed  atomic.Int64 // when the last scrub ended, in nanoseconds since 1970; 0: not yet
	making    making       // files that are being written
	failure   atomic.Pointer[failure]
}

type failure struct{ err error }

var _ queue.Store = (*Store)(nil)

// Open opens the store in dir and creates both where there is none. A store
// that another process has open is refused with queue.ErrLocked, one that a
// newer version has written with queue.ErrNewerFormat. Nothing but Open itself
// waits: what is pending is read when it is fetched.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := makeDir(opts.FS, dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, opts.FS)
	if err != nil {
		return nil, lockError(dir, err)
	}
	s := &Store{
		opts: opts, dir: dir, lock: lock,
		done: make(chan struct{}), failed: make(chan struct{}), kick: make(chan struct{}, 1),
		queues: map[string]*connQueue{},
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func (s *Store) start() error {
	if err := checkFormat(s.opts.FS, s.dir); err != nil {
		return err
	}
	if err := s.openDB(); err != nil {
		return err
	}
	if err := errors.Join(s.identify(), s.meet()); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.disk.init(s)
	s.upkeep.Add(1)
	go s.keepUp()
	s.startScrub()
	return nil
}

// identify reads the store's own keys, or writes them in a new store.
func (s *Store) identify() error {
	format, err := s.get(metaKey(metaFormat))
	if err != nil {
		return explainOpen(s.dir, s.opening.lastOpened(), err)
	}
	if format == nil {
		return s.found()
	}
	switch v, n := binary.Uvarint(format); {
	case n != len(format) || v == 0:
		return fmt.Errorf("%s: number of the layout: %w; %s", s.dir, wire.ErrDamaged, s.remedy())
	case v > layout:
		return fmt.Errorf("%s: %w: layout %d, known is %d", s.dir, queue.ErrNewerFormat, v, layout)
	}
	id, err := s.get(metaKey(metaStore))
	if err != nil {
		return explainOpen(s.dir, s.opening.lastOpened(), err)
	}
	if len(id) != len(uuid.UUID{}) {
		return fmt.Errorf("%s: name of the store: %w; %s", s.dir, wire.ErrDamaged, s.remedy())
	}
	s.id = base64.RawURLEncoding.EncodeToString(id)
	return nil
}

func (s *Store) found() error {
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("name the store: %w", err)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := errors.Join(
		b.Set(metaKey(metaFormat), binary.AppendUvarint(nil, layout), nil),
		b.Set(metaKey(metaStore), id[:], nil),
		b.Commit(pebble.Sync),
	); err != nil {
		return fmt.Errorf("create queue in %s: %w", s.dir, err)
	}
	s.id = base64.RawURLEncoding.EncodeToString(id[:])
	return nil
}

// get returns a copy of the value of key, nil where there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	value, closer, err := s.lookup(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	out := append([]byte{}, value...)
	return out, closer.Close()
}

// Open implements queue.Store. Names are at most 255 bytes. It reads the ids of
// the window, which takes a fraction of a second for a million.
func (s *Store) Open(ctx context.Context, name string, window int) (queue.Queue, error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("connector %q: name must have 1 to %d bytes", name, maxName)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.queues[name]; ok {
		return q, nil
	}
	conn, err := s.number(name)
	if err == nil {
		err = s.wake(name, conn, window)
	}
	if err != nil {
		if isDamage(err) {
			err = fmt.Errorf("%w: %w; %s", queue.ErrDamaged, err, s.remedy())
		}
		return nil, fmt.Errorf("open queue of connector %q: %w", name, err)
	}
	return s.queues[name], nil
}

// number returns the connector's number, a new one for a new name.
func (s *Store) number(name string) (uint32, error) {
	value, err := s.get(nameKey(name))
	if err != nil {
		return 0, err
	}
	if value != nil {
		if len(value) != 4 {
			return 0, fmt.Errorf("number of connector %q: %w", name, wire.ErrDamaged)
		}
		return binary.BigEndian.Uint32(value), nil
	}
	last, err := s.get(metaKey(metaLast))
	if err != nil {
		return 0, err
	}
	conn := uint32(1)
	if last != nil {
		if len(last) != 4 { // a number that is in use must not be given again
			return 0, fmt.Errorf("number of the newest connector: %w", wire.ErrDamaged)
		}
		conn += binary.BigEndian.Uint32(last)
	}
	value = binary.BigEndian.AppendUint32(nil, conn)
	b := s.db.NewBatch()
	defer b.Close()
	if err := errors.Join(
		b.Set(nameKey(name), value, nil),
		b.Set(metaKey(metaLast), value, nil),
		b.Commit(pebble.Sync),
	); err != nil {
		return 0, s.fail(err)
	}
	return conn, nil
}

// enter must be called before anything that uses the database, and leave after.
func (s *Store) enter() error {
	if err := s.enterToRead(); err != nil {
		return err
	}
	if f := s.failure.Load(); f != nil {
		s.leave()
		return f.err
	}
	return nil
}

// enterToRead is enter for what may go on after a failure.
func (s *Store) enterToRead() error {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return queue.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.life.RUnlock() }

// fail notes that a commit did not reach the disk. What the log holds from
// there on is unknown, so nothing is written any more.
func (s *Store) fail(err error) error {
	f := &failure{fmt.Errorf("%w: %w", queue.ErrFailed, err)}
	if s.failure.CompareAndSwap(nil, f) {
		s.opts.Logger.Error("queue storage has failed; nothing is taken until a restart", "error", err)
		close(s.failed)
	}
	return s.failure.Load().err
}

// Usage implements queue.Store.
func (s *Store) Usage() queue.Usage {
	u := s.disk.usage()
	u.Damaged = int(s.damaged.Load())
	if at := s.scrubbed.Load(); at != 0 {
		u.Scrubbed = time.Unix(0, at)
	}
	if f := s.failure.Load(); f != nil {
		u.Err = f.err
	}
	return u
}

// Close implements queue.Store. It wakes up who waits in Fetch and waits for
// everything else that is under way.
func (s *Store) Close() error {
	s.ending.Do(func() { close(s.done) })
	s.upkeep.Wait()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	crashpoint.At("stop.before-close")
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("close queue in %s: %w", s.dir, err)
	}
	crashpoint.At("stop.closed")
	return nil
}
