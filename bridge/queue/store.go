package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/postgres"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqlite"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/window"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// Options configure a store. Dir or URL is needed; a zero in any other field
// means its default.
type Options struct {
	// Dir is the directory of the embedded store; it is made where it is missing.
	Dir string
	// URL, postgres://…, is a PostgreSQL database in the place of Dir; its
	// parameters are those of libpq. Password is used where the URL has none.
	URL, Password string

	// RetainAge is how long a record stays as history once all of its events
	// have an outcome; 0: not at all.
	RetainAge time.Duration
	// RetainBytes is how much history is kept at most, over all connectors; 0:
	// as much as RetainAge says. The oldest goes first.
	RetainBytes int64
	// MaxBytes is how much the store may take; 0: all but a reserve of a tenth of
	// the disk, within 24 and 256 MiB. Above it, and within the reserve, history is
	// pruned, oldest first; where that does not help, Append returns ErrFull.
	MaxBytes int64
	// ScrubEvery is the time in which everything is read once, at an even pace,
	// so that damage is found before what it hit is needed; 0: never.
	ScrubEvery time.Duration
	// AppendTimeout is how long a call waits for its commit. Default 5 s.
	AppendTimeout time.Duration
	// AckWait is how long a bridge that does not answer keeps what it has
	// claimed, where bridges share a database. Default 30 s.
	AckWait time.Duration
	// DropDamagedLog goes on without what is behind a damaged place of the log,
	// where the store would not be opened else.
	DropDamagedLog bool

	// Describe finds what a dead letter is listed by; nil: nothing is found.
	Describe func(event []byte) Description
	Logger   *slog.Logger

	vfs           string // of the embedded store, for tests
	disk          func() (free, total int64)
	maintainEvery time.Duration
}

func (o Options) withDefaults() Options {
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.AppendTimeout = cmp.Or(o.AppendTimeout, 5*time.Second)
	o.AckWait = cmp.Or(o.AckWait, 30*time.Second)
	o.maintainEvery = cmp.Or(o.maintainEvery, time.Second)
	if o.Describe == nil {
		o.Describe = func([]byte) Description { return Description{} }
	}
	return o
}

// commitTimeout bounds one transaction with a database that does not answer.
func (o Options) commitTimeout() time.Duration { return max(o.AppendTimeout, 10*time.Second) }

// Store keeps the queues of all connectors. It is safe for concurrent use.
type Store struct {
	opts   Options
	log    *slog.Logger
	db     sqldb.Database
	shared bool   // bridges share it
	name   string // of the store, for origins
	writer *writer
	space  *diskSpace

	erasing sync.Mutex // one erasure at a time
	opening sync.Mutex // one queue is opened at a time

	mu            sync.Mutex
	byName        map[string]*Queue
	damagedPlaces atomic.Int64 // places that cannot be read
	noted         sync.Map     // of them: which
	scrubbed      atomic.Int64 // when the last scrub ended that could read everything, in microseconds

	ended context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup
	once  sync.Once
	err   error // of Close
}

// Open opens a store, or makes it. It fails with ErrLocked where another process
// has the directory, ErrNewerFormat where a newer version has written it, and
// ErrDamaged where it cannot be read and nothing could be set aside.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{opts: opts, log: opts.Logger, byName: map[string]*Queue{}}
	s.writer = &writer{store: s, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	s.ended, s.end = context.WithCancel(context.Background())
	var err error
	if opts.URL != "" {
		s.shared = true
		s.db, err = postgres.Open(ctx, postgres.Options{URL: opts.URL, Password: opts.Password, AckWait: opts.AckWait, RetainAge: opts.RetainAge,
			CommitTimeout: opts.commitTimeout(), Warn: opts.Logger.Warn})
	} else {
		s.db, err = sqlite.Open(ctx, sqlite.Options{Dir: opts.Dir, VFS: opts.vfs, Disk: opts.disk, Warn: opts.Logger.Warn, DropDamagedLog: opts.DropDamagedLog})
	}
	if err != nil {
		s.end()
		return nil, err
	}
	s.space = &diskSpace{store: s, wake: make(chan struct{}, 1)}
	s.space.measure()
	err = s.db.View(ctx, func(t sqldb.Tx) error {
		return t.Query(`SELECT value FROM meta WHERE name = 'store'`, func(r sqldb.Row) error { return r.Scan(&s.name) })
	})
	if err != nil {
		s.end()
		return nil, errors.Join(s.db.Classify(err), s.db.Close(ctx))
	}
	go s.writer.loop()
	s.tasks.Go(s.maintain)
	if opts.ScrubEvery > 0 {
		s.tasks.Go(s.scrubs)
	}
	return s, nil
}

// Queue returns the queue of the connector called name and makes it at first
// use. A second call with the same name returns the same queue. windowSize is the
// number of event ids remembered to catch duplicates; with 0 only repeats within
// one batch are caught.
func (s *Store) Queue(ctx context.Context, name string, windowSize int) (*Queue, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	s.mu.Lock()
	q := s.byName[name]
	s.mu.Unlock()
	if q != nil {
		return q, nil
	}
	if err := s.stopped(); err != nil {
		return nil, err
	}
	q = &Queue{
		store: s, name: name, window: window.New(windowSize), windowSize: windowSize,
		claims: map[int64]*claim{}, left: map[int64]bool{}, more: make(chan struct{}), orders: make(chan struct{}),
	}
	if err := q.load(ctx); err != nil {
		return nil, s.db.Classify(err)
	}
	isNew := q.id == 0 // else it needs no room
	if err := s.writer.run(ctx, &op{size: 100, do: func(c *change) error { return q.open(c, isNew) }}); err != nil {
		return nil, err
	}
	return q, nil
}

func (s *Store) queues() []*Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.byName))
}

// queryInt is sqldb.QueryInt in a view of its own.
func (s *Store) queryInt(ctx context.Context, sql string, args ...any) (sum int64, err error) {
	err = s.db.View(ctx, func(t sqldb.Tx) (err error) {
		sum, err = sqldb.QueryInt(t, sql, args...)
		return err
	})
	return sum, s.db.Classify(err)
}

// Connectors lists the names of all queues that there are, opened or not, in the
// order of their bytes.
func (s *Store) Connectors(ctx context.Context) (names []string, err error) {
	if err := s.stopped(); err != nil {
		return nil, err
	}
	names, err = sqldb.QueryRows(ctx, s.db, `SELECT name FROM connector`, sqldb.One[string])
	slices.Sort(names)
	return names, err
}

// Usage reports how much disk the store takes, and whether it can store.
func (s *Store) Usage() Usage {
	s.space.mu.Lock()
	u := Usage{Bytes: s.space.used, Free: max(s.space.free, 0), Limit: s.opts.MaxBytes, Full: s.space.full, Damaged: int(s.damagedPlaces.Load()), Scrubbed: timeOf(s.scrubbed.Load())}
	s.space.mu.Unlock()
	u.Err, u.Away = s.writer.state()
	return u
}

// Backup copies the embedded store, as it is at one moment, into a new file,
// while it is in use. A store on PostgreSQL is backed up with PostgreSQL's tools.
func (s *Store) Backup(ctx context.Context, file string) error {
	db, ok := s.db.(*sqlite.DB)
	if !ok {
		return errors.New("a store on PostgreSQL is backed up with PostgreSQL's own tools, such as pg_dump")
	}
	if err := db.Backup(ctx, file); err != nil {
		return fmt.Errorf("back up into %s: %w", file, err)
	}
	return nil
}

// Close waits for commits that have begun and closes the store. An orderly end
// leaves no log, unless another process reads the file.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.end()
		s.writer.close()
		s.tasks.Wait()
		crashpoint.At("stop.before-close")
		s.err = s.db.Close(context.Background())
		crashpoint.At("stop.closed")
	})
	return s.err
}

// timeOf is a time of the tables; zero: there is none.
func timeOf(micros int64) (t time.Time) {
	if micros != 0 {
		t = time.UnixMicro(micros)
	}
	return t
}

// stopped returns why the store is not to be used any more.
func (s *Store) stopped() error {
	if s.ended.Err() != nil {
		return ErrClosed
	}
	failed, _ := s.writer.state()
	return failed
}

// wakeAll wakes everyone who waits, to see that the store has failed.
func (s *Store) wakeAll() {
	for _, q := range s.queues() {
		q.mu.Lock()
		wake(&q.more)
		wake(&q.orders)
		q.mu.Unlock()
	}
}

// maintain looks after disk and history about once a second.
func (s *Store) maintain() {
	ticker := time.NewTicker(s.opts.maintainEvery)
	defer ticker.Stop()
	reported := ""
	for {
		select {
		case <-s.ended.Done():
			return
		case <-ticker.C:
		case <-s.space.wake:
		}
		err := s.db.Maintain(s.ended, s.writer.idle, func(do func(sqldb.Tx) error) error {
			return s.writer.run(s.ended, &op{size: 1, do: func(c *change) error { return do(c) }})
		})
		s.space.measure()
		err = errors.Join(err, s.prune(s.ended, time.Now()))
		text := ""
		if err != nil && s.stopped() == nil {
			if text = err.Error(); text != reported {
				s.log.Warn("the store cannot be looked after now", "error", text)
			}
		}
		reported = text
	}
}
