package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

// The embedded store: one file with page checksums, in WAL mode, synced at every
// commit. The writer has a connection of its own; views and checkpoints share a few
// others.
const (
	databaseFile = "queue.db"
	lockFile     = "LOCK"
	damagedMark  = "queue.db-damaged" // says that the next start rebuilds the file

	pageSize       = 8192
	readers        = 4
	checkpointAt   = 2048 // pages in the log that wake the checkpointer: 16 MiB
	vacuumStep     = 64   // pages given back at a time beside traffic
	vacuumIdleStep = 512  // pages given back at a time while nothing is waiting
	freePages      = 512  // pages that are kept for what comes next

	noRoom = 2 * maxGroup // free bytes below which an I/O error is one of a full disk
)

// settings are given to each connection.
const settings = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 10000; PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON;`

type sqlite struct {
	dir    string
	vfs    string
	log    func(msg string, args ...any)
	disk   func() (free, total int64)
	lock   *os.File
	writer *sqliteConn
	pool   chan *sqliteConn // for views; nil: not opened yet

	next     int64 // sequence number; for the writer alone
	logPages atomic.Int64
	pages    atomic.Int64
	free     atomic.Int64
	measured time.Time

	asking              sync.Mutex
	asked               time.Time // when the file system was; under asking, as what it said
	diskFree, diskTotal int64

	checkpoint chan struct{} // wakes the checkpointer
	stop       chan struct{}
	stopped    sync.WaitGroup
	flush      atomic.Bool // the checkpointer has done most: the writer does the rest
}

// openSQLite opens the file in the directory of the options, makes it where it is
// missing, and rebuilds it where a former run has found it damaged.
func openSQLite(ctx context.Context, opts Options) (_ *sqlite, err error) {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := refuseNetwork(opts.Dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(opts.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	s := &sqlite{
		dir: opts.Dir, vfs: opts.vfs, lock: lock, pool: make(chan *sqliteConn, readers),
		log: opts.Logger.Warn, disk: opts.disk, checkpoint: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	for range readers {
		s.pool <- nil
	}
	defer func() {
		if err == nil {
			return
		}
		if s.writer != nil {
			s.writer.close()
		}
		s.lock.Close()
	}()
	if err := s.checkLog(opts.DropDamagedLog); err != nil {
		return nil, err
	}
	_, marked := os.Stat(s.path(damagedMark))
	if marked != nil {
		err = s.start(ctx)
	}
	if marked == nil || s.corrupt(err) {
		if s.writer != nil {
			s.writer.close()
		}
		if err = s.rebuild(ctx, err); err == nil {
			err = s.start(ctx)
		}
	}
	if s.corrupt(err) || errors.Is(err, errNothingLeft) {
		err = fmt.Errorf("%w: %s: %w; restore a backup, try sqlite3 queue.db .recover, or move the file away to begin with an empty one", ErrDamaged, s.path(databaseFile), err)
	}
	if err != nil {
		return nil, err
	}
	s.stopped.Go(s.checkpoints)
	return s, nil
}

func (s *sqlite) path(name string) string { return filepath.Join(s.dir, name) }

// start opens the writer's connection and makes the tables where there are none.
func (s *sqlite) start(ctx context.Context) (err error) {
	if s.writer, err = s.connect(databaseFile, false); err != nil {
		return err
	}
	s.writer.conn.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		s.logPages.Store(int64(pages))
		return nil
	})
	return s.update(ctx, prepare{}, func(t tx, _ *prepared) error {
		version, err := queryInt(t, `SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'format'`)
		if err != nil {
			return err
		}
		if version > formatVersion {
			return fmt.Errorf("%w: format %d in %s, this one knows %d", ErrNewerFormat, version, s.path(databaseFile), formatVersion)
		}
		s.next, err = queryInt(t, `SELECT max(coalesce((SELECT max(last_seq) FROM ledger), 0), coalesce((SELECT max(seq) FROM record), 0), coalesce((SELECT max(seq) FROM ids), 0))`)
		return err
	})
}

// uri names a file for SQLite.
func (s *sqlite) uri(path string) string {
	registerVFS()
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?vfs=" + cmp.Or(s.vfs, diskVFSName)
}

// open opens a connection to a file of the directory.
func (s *sqlite) open(name string) (*sqliteConn, error) { return openConn(s.uri(s.path(name))) }

func openConn(uri string) (*sqliteConn, error) {
	conn, err := sqlite3.Open(uri)
	return &sqliteConn{conn: conn, cache: map[string]*sqlite3.Stmt{}}, err
}

// connect opens a connection with the store's settings, and makes the tables of an
// empty file.
func (s *sqlite) connect(name string, reading bool) (*sqliteConn, error) {
	c, err := s.open(name)
	if err != nil {
		return nil, err
	}
	cache := `PRAGMA cache_size = -16000;`
	if reading {
		cache = `PRAGMA cache_size = -4000; PRAGMA query_only = ON;`
	} else {
		err = c.create()
	}
	if err == nil {
		err = c.conn.Exec(settings + cache)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// create makes the tables of an empty file.
func (c *sqliteConn) create() error {
	tables, err := queryInt(c, `SELECT count(*) FROM sqlite_schema WHERE name = 'meta'`)
	if err != nil || tables > 0 {
		return err
	}
	if err := c.format(); err != nil {
		return err
	}
	return c.conn.Exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;` + schema +
		fmt.Sprintf(`INSERT INTO meta VALUES ('format', '%d'), ('store', lower(hex(randomblob(6)))); COMMIT;`, formatVersion))
}

// format gives an empty file its size of pages, and checksums.
func (c *sqliteConn) format() error {
	return cmp.Or(c.conn.Exec(fmt.Sprintf(`PRAGMA page_size = %d; PRAGMA auto_vacuum = INCREMENTAL;`, pageSize)), c.conn.EnableChecksums("main"))
}

func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is locked", ErrLocked, path)
		}
		return nil, err
	}
	return f, nil
}

// update implements database.
func (s *sqlite) update(_ context.Context, need prepare, do func(tx, *prepared) error) (err error) {
	if s.flush.CompareAndSwap(true, false) {
		crashpoint.At("checkpoint.before-rest")
		if _, _, err := s.writer.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE); s.corrupt(err) {
			return err
		} else if err != nil && !errors.Is(err, sqlite3.BUSY) {
			s.log("the log cannot be checkpointed", "error", err) // what it holds is as safe as before
		}
		crashpoint.At("checkpoint.after")
	}
	p := &prepared{seqs: make([]int64, need.records), known: make([]bool, len(need.content))}
	first := s.next
	for i := range p.seqs {
		s.next++
		p.seqs[i] = s.next
	}
	err = s.writer.transaction(`BEGIN IMMEDIATE`, func() error { return do(s.writer, p) })
	if err != nil {
		s.next = first
		return err
	}
	if s.logPages.Load() >= checkpointAt {
		signal(s.checkpoint)
	}
	if time.Since(s.measured) > 20*time.Millisecond {
		s.measured = time.Now()
		_ = s.measure(s.writer) // maintain measures again and returns the error
	}
	return nil
}

// measure takes the size of the file.
func (s *sqlite) measure(t tx) error {
	pages, err := queryInt(t, `PRAGMA page_count`)
	if err != nil {
		return err
	}
	free, err := queryInt(t, `PRAGMA freelist_count`)
	if err == nil {
		s.pages.Store(pages)
		s.free.Store(free)
	}
	return err
}

// diskOf returns what tells the free and all bytes of a directory's file system;
// free is -1 where they are unknown.
func diskOf(dir string) func() (free, total int64) {
	return func() (free, total int64) {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) != nil {
			return -1, 0
		}
		return int64(fs.Bavail) * int64(fs.Bsize), int64(fs.Blocks) * int64(fs.Bsize) //nolint:unconvert // other systems have other types
	}
}

// size asks the file system at most every 20 ms.
func (s *sqlite) size() (used, spare, free, total int64) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if now := time.Now(); now.Sub(s.asked) > 20*time.Millisecond {
		s.asked = now
		s.diskFree, s.diskTotal = s.disk()
	}
	return (s.pages.Load() - s.free.Load() + s.logPages.Load()) * pageSize, max(0, s.surplus()) * pageSize, s.diskFree, s.diskTotal
}

// surplus is how many free pages are given back to the disk.
func (s *sqlite) surplus() int64 { return s.free.Load() - freePages - s.pages.Load()/16 }

// checkpoints copies the log into the file beside the writer. SQLite writes the
// log from its start again only once all of it is copied, so the writer does the small rest between
// two of its transactions.
func (s *sqlite) checkpoints() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.checkpoint:
		}
		crashpoint.At("checkpoint.before")
		pages, copied, err := s.copyLog(context.Background(), sqlite3.CHECKPOINT_PASSIVE)
		if err != nil && !anyOf(err, sqlite3.BUSY, ErrClosed) {
			s.log("the log cannot be checkpointed", "error", err)
			continue
		}
		if err == nil && pages == copied {
			s.logPages.CompareAndSwap(int64(pages), 0) // the next commit writes from its start
		}
		s.flush.Store(true)
	}
}

// copyLog copies the log into the file, on one of the views' connections.
func (s *sqlite) copyLog(ctx context.Context, mode sqlite3.CheckpointMode) (pages, copied int, err error) {
	c, err := s.reader(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { s.pool <- c }()
	return c.conn.WALCheckpoint("main", mode)
}

// view implements database.
func (s *sqlite) view(ctx context.Context, do func(tx) error) error {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	err = c.transaction(`BEGIN`, func() error { return do(c) })
	if errors.Is(err, errPanic) {
		c.close()
		c = nil
	}
	s.pool <- c
	return err
}

func (s *sqlite) reader(ctx context.Context) (c *sqliteConn, err error) {
	select {
	case <-s.stop:
		return nil, ErrClosed
	default:
	}
	select {
	case c = <-s.pool:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.stop:
		return nil, ErrClosed
	}
	if c == nil {
		if c, err = s.connect(databaseFile, true); err != nil {
			s.pool <- nil
		}
	}
	return c, err
}

// claim implements database. The claims of the one bridge are in its memory.
func (s *sqlite) claim(ctx context.Context, q *Queue, from stream, after int64, limit int) ([]recordState, error) {
	return queryRows(ctx, s, `SELECT `+recordColumns+` FROM record WHERE connector = $1 AND seq > $2 AND backfilled = $3 AND pending > 0 ORDER BY seq LIMIT $4`,
		scanRecord, q.id, after, int64(from), int64(limit))
}

func (s *sqlite) retryable(error) bool { return false }

func (s *sqlite) ownReplay(context.Context, int64) (bool, error) { return true, nil }

func (s *sqlite) body(int64) string { return "body" }

func (s *sqlite) in(param string) string { return " IN (SELECT value FROM json_each(" + param + "))" }

func (s *sqlite) ledgerRow(int) string { return "" }

func (s *sqlite) prunes() bool { return true }

// maintain gives freed pages back in small steps. On a full disk only a log that
// is written from its start again has room.
func (s *sqlite) maintain(ctx context.Context, w *writer) error {
	if free, _ := s.disk(); s.logPages.Load() > 0 && (w.idle() || free >= 0 && free < minReserve) {
		signal(s.checkpoint)
	}
	for before := int64(-1); ; before = s.free.Load() {
		if err := s.view(ctx, s.measure); err != nil {
			return err
		}
		idle := w.idle()
		if s.surplus() <= 0 || before >= 0 && (!idle || s.free.Load() >= before) {
			return nil
		}
		step := vacuumStep
		if idle {
			step = vacuumIdleStep
		}
		o := &op{size: 1, do: func(c *change) error {
			return c.query(fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, step), func(row) error { return nil })
		}}
		if err := w.run(ctx, o); err != nil {
			return err
		}
	}
}

// wipe implements database: it empties the log, after which nothing of what was
// deleted is in any file.
func (s *sqlite) wipe(ctx context.Context) error {
	for {
		_, _, err := s.copyLog(ctx, sqlite3.CHECKPOINT_TRUNCATE)
		if err == nil || !errors.Is(err, sqlite3.BUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("what was deleted is in the log until its next checkpoint: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// backup copies the whole store, as it is at one moment, into a new file.
func (s *sqlite) backup(ctx context.Context, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	to, err := openConn((&sqlite{}).uri(file))
	if err != nil {
		return err
	}
	// Pages get checksums only in a file whose first page, on disk, says so: it has to be
	// there before the others are written.
	if err := errors.Join(to.format(), to.close()); err != nil {
		return err
	}
	return s.view(ctx, func(t tx) error {
		if _, err := queryInt(t, `SELECT count(*) FROM meta`); err != nil { // else each commit would restart the copy
			return err
		}
		b, err := t.(*sqliteConn).conn.BackupInit("main", (&sqlite{}).uri(file))
		if err != nil {
			return err
		}
		defer b.Close()
		for done := false; !done && err == nil; {
			if done, err = b.Step(1000); err == nil {
				err = ctx.Err()
			}
		}
		return err
	})
}

func (s *sqlite) corrupt(err error) bool {
	return anyOf(err, sqlite3.CORRUPT, sqlite3.IOERR_DATA, sqlite3.IOERR_CORRUPTFS, sqlite3.NOTADB, sqlite3.IOERR_SHORT_READ)
}

// classify implements database.
func (s *sqlite) classify(err error) error {
	switch {
	case err == nil || ownError(err) || anyOf(err, context.Canceled, context.DeadlineExceeded, errBody):
		return err
	case errors.Is(err, sqlite3.FULL), !errors.Is(err, sqlite3.IOERR_FSYNC) && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, sqlite3.TOOBIG):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return fmt.Errorf("%w: %w", ErrAway, err)
	case s.corrupt(err):
		s.mark(err)
		return fmt.Errorf("%w: %w: %s cannot be read: %w; the next start sets the damage aside", ErrFailed, ErrDamaged, s.path(databaseFile), err)
	}
	// Where the disk has no room, not every error of the library says so.
	if free, _ := s.disk(); free >= 0 && free < noRoom && !errors.Is(err, sqlite3.IOERR_FSYNC) && !errors.Is(err, errPanic) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	code := 0
	if e := (*sqlite3.Error)(nil); errors.As(err, &e) {
		code = int(e.ExtendedCode())
	}
	return fmt.Errorf("%w: %s: %w (%d)", ErrFailed, s.path(databaseFile), err, code)
}

// mark has the next start rebuild the file.
func (s *sqlite) mark(cause error) {
	if err := os.WriteFile(s.path(damagedMark), []byte(cause.Error()+"\n"), 0o600); err != nil {
		s.log("the damage cannot be marked for the next start", "error", err)
	}
}

// close lets the log be checkpointed and removed.
func (s *sqlite) close(context.Context) error {
	close(s.stop)
	s.stopped.Wait()
	for range readers {
		if c := <-s.pool; c != nil {
			c.close()
		}
	}
	_, _, err := s.writer.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	err = errors.Join(err, s.writer.close())
	return errors.Join(err, s.lock.Close())
}

// sqliteConn is a connection with its prepared statements. It is used by one
// goroutine at a time.
type sqliteConn struct {
	conn  *sqlite3.Conn
	cache map[string]*sqlite3.Stmt
}

// errPanic wraps a panic of the database's code: its connection is not used again.
var errPanic = errors.New("panic in the database")

// transaction runs do between begin and COMMIT, or undoes it.
func (c *sqliteConn) transaction(begin string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if err := c.exec(begin); err != nil {
		return err
	}
	if err = do(); err == nil {
		if err = c.exec(`COMMIT`); err == nil {
			return nil
		}
	}
	if !c.conn.GetAutocommit() {
		err = errors.Join(err, c.exec(`ROLLBACK`))
	}
	return err
}

func (c *sqliteConn) prepare(sql string) (s *sqlite3.Stmt, err error) {
	if s = c.cache[sql]; s == nil {
		if s, _, err = c.conn.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err == nil {
			c.cache[sql] = s
		}
	}
	return s, err
}

// run binds and runs a statement; each row is passed to each.
func (c *sqliteConn) run(sql string, each func(row) error, args []any) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	for i, arg := range args {
		if err := bind(s, i+1, arg); err != nil {
			return errors.Join(err, s.Reset())
		}
	}
	if each == nil {
		return s.Exec()
	}
	for err == nil && s.Step() {
		err = each(sqliteRow{s})
	}
	if err == nil {
		err = s.Err()
	}
	if reset := s.Reset(); err == nil && !errors.Is(reset, sqlite3.ABORT) {
		err = reset
	}
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (c *sqliteConn) exec(sql string, args ...any) error { return c.run(sql, nil, args) }

func (c *sqliteConn) query(sql string, each func(row) error, args ...any) error {
	return c.run(sql, each, args)
}

func (c *sqliteConn) close() error {
	for _, s := range c.cache {
		s.Close()
	}
	return c.conn.Close()
}

func bind(s *sqlite3.Stmt, at int, arg any) error {
	switch v := arg.(type) {
	case int64:
		return s.BindInt64(at, v)
	case string:
		return s.BindText(at, v)
	case []byte:
		return s.BindBlob(at, v)
	case []int64:
		return s.BindJSON(at, v)
	case nil:
		return s.BindNull(at)
	}
	return fmt.Errorf("a parameter of the type %T cannot be bound", arg)
}

type sqliteRow struct{ s *sqlite3.Stmt }

func (r sqliteRow) scan(to ...any) error {
	for i, dst := range to {
		switch dst := dst.(type) {
		case *int64:
			*dst = r.s.ColumnInt64(i)
		case *uint64:
			*dst = uint64(r.s.ColumnInt64(i))
		case *int:
			*dst = r.s.ColumnInt(i)
		case *string:
			*dst = r.s.ColumnText(i)
		case *[]byte:
			if r.s.ColumnType(i) == sqlite3.NULL {
				*dst = nil
				continue
			}
			if *dst == nil {
				*dst = []byte{}
			}
			*dst = append((*dst)[:0], r.s.ColumnRawBlob(i)...)
		default:
			return fmt.Errorf("a column cannot be read into a %T", dst)
		}
	}
	return r.s.Err()
}
