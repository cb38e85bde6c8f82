// Package sqlite is the embedded store of the queue: one file with page checksums,
// in WAL mode, synced at every commit.
package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

const (
	pageSize     = 8192
	readers      = 4
	checkpointAt = 2048 // pages in the log that wake the checkpointer: 16 MiB
	// Commits wait while the writer copies what the checkpointer has left of the log.
	checkpointRounds = 4 // times that the checkpointer copies at the most
	restPages        = 8 // it copies again where more are left

	vacuumStep     = 64  // pages given back at a time beside traffic
	vacuumIdleStep = 512 // pages given back at a time while nothing is waiting
	freePages      = 512 // pages that are kept for what comes next

	noRoom = 16 << 20 // free bytes below which an I/O error is one of a full disk: twice what a transaction writes
)

// settings are given to each connection.
const settings = `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY; PRAGMA busy_timeout = 10000; PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON;`

// uncheckedPages has a connection read pages that do not match their checksums: for what
// has a checksum of its own.
const uncheckedPages = `PRAGMA checksum_verification = OFF`

// Options say where a store is. Dir is needed.
type Options struct {
	Dir  string
	VFS  string                     // the file system, as the library knows it; empty: the operating system's
	Disk func() (free, total int64) // bytes of the file system; nil: it is asked
	Warn func(msg string, args ...any)
	// DropDamagedLog goes on without what is behind a damaged place of the log.
	DropDamagedLog bool
}

// DB implements sqldb.Database. The writer has a connection of its own; views and
// checkpoints share a few others.
type DB struct {
	Options
	lock   *os.File
	writer *connection
	pool   chan *connection // for views; nil: not opened yet

	next     int64 // sequence number; for the writer alone
	logPages atomic.Int64
	pages    atomic.Int64
	free     atomic.Int64
	measured time.Time

	asking              sync.Mutex
	asked               time.Time     // when the file system was; under asking, as what it said
	answer              chan [2]int64 // nil: it has answered
	diskFree, diskTotal int64

	step       atomic.Int32
	checkpoint chan struct{} // wakes the checkpointer
	stop       chan struct{}
	stopped    sync.WaitGroup
}

// Steps of a checkpoint.
const (
	noCheckpoint = iota
	copying      // by the checkpointer
	copied       // most of it: the writer does the rest
)

// Open opens the file in the directory of the options, makes it where it is
// missing, and rebuilds it where a former run has found it damaged.
func Open(ctx context.Context, opts Options) (_ *DB, err error) {
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
	if opts.Disk == nil {
		opts.Disk = diskOf(opts.Dir)
	}
	s := &DB{Options: opts, lock: lock, pool: make(chan *connection, readers), checkpoint: make(chan struct{}, 1), stop: make(chan struct{}), diskFree: -1}
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
	if err := s.findFile(); err != nil {
		return nil, err
	}
	if err := s.checkLog(); err != nil {
		return nil, err
	}
	mark, noMark := os.ReadFile(s.path(damagedMark))
	if err = errors.New(strings.TrimSpace(string(mark))); noMark != nil {
		err = s.start(ctx)
	}
	if noMark == nil || s.Corrupt(err) {
		if s.writer != nil {
			s.writer.close()
		}
		if err = s.rebuild(ctx, err); err == nil {
			err = s.start(ctx)
		}
	}
	if s.Corrupt(err) || errors.Is(err, errNothingLeft) {
		err = fmt.Errorf("%w: %s: %w; restore a backup, try sqlite3 queue.db .recover, or move the file and its log away to begin with an empty one", sqldb.ErrDamaged, s.path(databaseFile), err)
	}
	if err != nil {
		return nil, err
	}
	s.stopped.Go(s.checkpoints)
	return s, nil
}

func (s *DB) path(name string) string { return filepath.Join(s.Dir, name) }

// start opens the writer's connection and makes the tables where there are none.
func (s *DB) start(ctx context.Context) (err error) {
	if s.writer, err = s.connect(databaseFile, false); err != nil {
		return err
	}
	s.writer.conn.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		s.logPages.Store(int64(pages))
		return nil
	})
	return s.Update(ctx, sqldb.Need{}, func(t sqldb.Tx, _ sqldb.Ready) error {
		if err := checkFormat(t); err != nil {
			return err
		}
		// Tables of an earlier version may be without it.
		there, err := sqldb.QueryInt(t, `SELECT count(*) FROM pragma_table_info('letter') WHERE name = 'altered'`)
		if err == nil && there == 0 {
			err = t.Exec(`ALTER TABLE letter ADD COLUMN altered INTEGER NOT NULL DEFAULT 0`)
		}
		if err != nil {
			return err
		}
		s.next, err = sqldb.QueryInt(t, `SELECT max(coalesce((SELECT max(last_seq) FROM ledger), 0), coalesce((SELECT max(seq) FROM record), 0), coalesce((SELECT max(seq) FROM ids), 0))`)
		return err
	})
}

func checkFormat(t sqldb.Tx) error {
	version, err := sqldb.QueryInt(t, `SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'format'`)
	if err == nil && version > sqldb.FormatVersion {
		err = fmt.Errorf("%w: format %d, this one knows %d", sqldb.ErrNewerFormat, version, sqldb.FormatVersion)
	}
	return err
}

// uri names a file for SQLite.
func (s *DB) uri(path string) string {
	registerVFS()
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?vfs=" + cmp.Or(s.VFS, diskVFSName)
}

func (s *DB) open(path string) (*connection, error) {
	conn, err := sqlite3.Open(s.uri(path))
	return &connection{conn: conn, cache: map[string]*sqlite3.Stmt{}}, err
}

// connect opens a connection with the store's settings.
func (s *DB) connect(name string, reading bool) (*connection, error) {
	c, err := s.open(s.path(name))
	if err != nil {
		return nil, err
	}
	cache := `PRAGMA cache_size = -16000;`
	if reading {
		cache = `PRAGMA cache_size = -4000; PRAGMA query_only = ON;`
	} else if s.VFS != "" { // findFile has made no file
		err = c.create("WAL")
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

// create makes the tables of an empty file, in this mode of journal.
func (c *connection) create(mode string) error {
	tables, err := sqldb.QueryInt(c, `SELECT count(*) FROM sqlite_schema WHERE name = 'meta'`)
	if err != nil || tables > 0 {
		return err
	}
	if err := c.format(); err != nil {
		return err
	}
	return c.conn.Exec(`PRAGMA journal_mode = ` + mode + `; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;` + sqldb.Schema +
		fmt.Sprintf(`INSERT INTO meta VALUES ('format', '%d'), ('store', lower(hex(randomblob(6)))); COMMIT;`, sqldb.FormatVersion))
}

// format gives an empty file its size of pages, and checksums.
func (c *connection) format() error {
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
			return nil, fmt.Errorf("%w: %s is locked", sqldb.ErrLocked, path)
		}
		return nil, err
	}
	return f, nil
}

func (s *DB) Update(_ context.Context, need sqldb.Need, do func(sqldb.Tx, sqldb.Ready) error) (err error) {
	if s.step.CompareAndSwap(copied, noCheckpoint) {
		crashpoint.At("checkpoint.before-rest")
		if _, _, err := s.writer.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE); s.Corrupt(err) {
			return err
		} else if err != nil && !errors.Is(err, sqlite3.BUSY) {
			s.Warn("the log cannot be checkpointed", "error", err) // what it holds is as safe as before
		}
		crashpoint.At("checkpoint.after")
	}
	first, ready := s.next, sqldb.Ready{Seqs: make([]int64, need.Records)}
	for i := range ready.Seqs {
		s.next++
		ready.Seqs[i] = s.next
	}
	err = s.writer.transaction(`BEGIN IMMEDIATE`, func() error { return do(s.writer, ready) })
	if err != nil {
		s.next = first
		return err
	}
	if s.logPages.Load() >= checkpointAt {
		s.wake()
	}
	if time.Since(s.measured) > 20*time.Millisecond {
		s.measured = time.Now()
		_ = s.measure(s.writer) // maintain measures again and returns the error
	}
	return nil
}

// measure takes the size of the file.
func (s *DB) measure(t sqldb.Tx) error {
	pages, err := sqldb.QueryInt(t, `PRAGMA page_count`)
	if err != nil {
		return err
	}
	free, err := sqldb.QueryInt(t, `PRAGMA freelist_count`)
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

// Size asks the file system at most every 20 ms. Where that hangs, the call that asks
// waits a second, later ones not at all, and what it said last stands.
func (s *DB) Size() (used, spare, free, total int64) {
	s.asking.Lock()
	defer s.asking.Unlock()
	wait := time.Duration(0)
	if now := time.Now(); s.answer == nil && now.Sub(s.asked) > 20*time.Millisecond {
		answer := make(chan [2]int64, 1)
		s.asked, s.answer, wait = now, answer, time.Second
		go func() {
			free, total := s.Disk()
			answer <- [2]int64{free, total}
		}()
	}
	if s.answer != nil {
		select {
		case disk := <-s.answer:
			s.diskFree, s.diskTotal, s.answer = disk[0], disk[1], nil
		case <-time.After(wait):
		}
	}
	return (s.pages.Load() - s.free.Load() + s.logPages.Load()) * pageSize, max(0, s.surplus()) * pageSize, s.diskFree, s.diskTotal
}

// surplus is how many free pages are given back to the disk.
func (s *DB) surplus() int64 { return s.free.Load() - freePages - s.pages.Load()/16 }

// wake begins a checkpoint, unless one is under way: of two at once one fails, and the
// log is not written from its start again.
func (s *DB) wake() {
	if s.step.CompareAndSwap(noCheckpoint, copying) {
		s.checkpoint <- struct{}{}
	}
}

// checkpoints copies the log into the file beside the writer. SQLite writes the
// log from its start again only once all of it is copied, so the writer does the small rest between
// two of its transactions.
func (s *DB) checkpoints() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.checkpoint:
		}
		crashpoint.At("checkpoint.before")
		pages, done, err := s.copyLog()
		for n := 1; n < checkpointRounds && err == nil && s.logPages.Load() > int64(done)+restPages; n++ {
			pages, done, err = s.copyLog()
		}
		if err != nil && !sqldb.AnyOf(err, sqlite3.BUSY, sqldb.ErrClosed) {
			s.Warn("the log cannot be checkpointed", "error", err)
			s.step.Store(noCheckpoint)
			continue
		}
		if err == nil && pages == done {
			s.logPages.CompareAndSwap(int64(pages), 0) // the next commit writes from its start
		}
		s.step.Store(copied)
	}
}

// copyLog copies the log into the file, on one of the views' connections.
func (s *DB) copyLog() (pages, copied int, err error) {
	c, err := s.reader(context.Background())
	if err != nil {
		return 0, 0, err
	}
	defer func() { s.pool <- c }()
	return c.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
}

func (s *DB) View(ctx context.Context, do func(sqldb.Tx) error) error {
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

// ViewUnchecked implements sqldb.Database on a connection of its own.
func (s *DB) ViewUnchecked(do func(sqldb.Tx) error) error {
	c, err := s.connect(databaseFile, true)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.conn.Exec(uncheckedPages); err != nil {
		return err
	}
	return c.transaction(`BEGIN`, func() error { return do(c) })
}

func (s *DB) reader(ctx context.Context) (c *connection, err error) {
	select {
	case c = <-s.pool:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.stop:
		return nil, sqldb.ErrClosed
	}
	if c == nil {
		if c, err = s.connect(databaseFile, true); err != nil {
			s.pool <- nil
		}
	}
	return c, err
}

// Claim implements sqldb.Database. The claims of the one bridge are in its memory.
func (s *DB) Claim(ctx context.Context, connector, stream, after int64, limit int, _ func() []int64) ([]sqldb.Record, error) {
	return sqldb.QueryRows(ctx, s, `SELECT `+sqldb.RecordColumns+` FROM record WHERE connector = $1 AND seq > $2 AND backfilled = $3 AND pending > 0 ORDER BY seq LIMIT $4`,
		sqldb.ScanRecord, connector, after, stream, int64(limit))
}

// Floor implements sqldb.Database: rows that are gone leave nothing behind.
func (s *DB) Floor(int64) int64 { return 0 }

func (s *DB) OwnReplay(context.Context, int64) (bool, error) { return true, nil }

func (s *DB) Body(int64) string { return "body" }

func (s *DB) In(param string) string { return " IN (SELECT value FROM json_each(" + param + "))" }

func (s *DB) Prunes() bool { return true }

// Maintain gives freed pages back in small steps. On a full disk only a log that
// is written from its start again has room.
func (s *DB) Maintain(ctx context.Context, idle func() bool, change func(func(sqldb.Tx) error) error) error {
	if _, _, free, _ := s.Size(); s.logPages.Load() > 0 && (idle() || free >= 0 && free < sqldb.MinReserve) {
		s.step.CompareAndSwap(copied, noCheckpoint) // it may be long until the writer does the rest
		s.wake()
	}
	for before := int64(math.MaxInt64); ; {
		if err := s.View(ctx, s.measure); err != nil {
			return err
		}
		free, idle := s.free.Load(), idle() && s.logPages.Load() < 2*checkpointAt // which the steps write to
		if s.surplus() <= 0 || free >= before || !idle && before < math.MaxInt64 {
			return nil
		}
		before = free
		step := vacuumStep
		if idle {
			step = vacuumIdleStep
		}
		err := change(func(t sqldb.Tx) error {
			return t.Query(fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, step), func(sqldb.Row) error { return nil })
		})
		if err != nil {
			return err
		}
	}
}

// A checkpoint that empties the log keeps the writer waiting while others read.
const (
	emptyWait  = 20 * time.Millisecond  // for so long
	emptyAgain = 200 * time.Millisecond // and is tried again after this
	usualWait  = 10 * time.Second       // as in settings
)

// Wipe implements sqldb.Database: it empties the log, after which nothing of what was
// deleted is in any file.
func (s *DB) Wipe(ctx context.Context) error {
	for {
		err := s.emptyLog(ctx)
		if err == nil || !errors.Is(err, sqlite3.BUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("what was deleted is in the log until its next checkpoint: %w", ctx.Err())
		case <-time.After(emptyAgain):
		}
	}
}

func (s *DB) emptyLog(ctx context.Context) error {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.pool <- c }()
	if err := c.conn.BusyTimeout(emptyWait); err != nil {
		return err
	}
	_, _, err = c.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	return errors.Join(err, c.conn.BusyTimeout(usualWait))
}

// Backup copies the whole store, as it is at one moment, into a new file.
func (s *DB) Backup(ctx context.Context, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	disk := &DB{} // on the operating system's files
	to, err := disk.open(file)
	if err != nil {
		return err
	}
	// Pages get checksums only in a file whose first page, on disk, says so: it has to be
	// there before the others are written.
	if err := errors.Join(to.format(), to.close()); err != nil {
		return err
	}
	return s.View(ctx, func(t sqldb.Tx) error {
		if _, err := sqldb.QueryInt(t, `SELECT count(*) FROM meta`); err != nil { // else each commit would restart the copy
			return err
		}
		b, err := t.(*connection).conn.BackupInit("main", disk.uri(file))
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

func (s *DB) Corrupt(err error) bool {
	return sqldb.AnyOf(err, sqlite3.CORRUPT, sqlite3.IOERR_DATA, sqlite3.IOERR_CORRUPTFS, sqlite3.NOTADB, sqlite3.IOERR_SHORT_READ)
}

func (s *DB) Classify(err error) error {
	switch {
	case err == nil || sqldb.Own(err) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sqlite3.FULL), !errors.Is(err, sqlite3.IOERR_FSYNC) && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)):
		return fmt.Errorf("%w: %w", sqldb.ErrFull, err)
	case errors.Is(err, sqlite3.TOOBIG):
		return fmt.Errorf("%w: %w", sqldb.ErrTooLarge, err)
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.LOCKED):
		return fmt.Errorf("%w: %w", sqldb.ErrAway, err)
	case s.Corrupt(err):
		s.mark(err)
		return fmt.Errorf("%w: %w: %s cannot be read: %w; the next start sets the damage aside", sqldb.ErrFailed, sqldb.ErrDamaged, s.path(databaseFile), err)
	}
	// Where the disk has no room, not every error of the library says so.
	if free, _ := s.Disk(); free >= 0 && free < noRoom && !errors.Is(err, sqlite3.IOERR_FSYNC) && !errors.Is(err, errPanic) {
		return fmt.Errorf("%w: %w", sqldb.ErrFull, err)
	}
	if code, ok := errors.AsType[sqlite3.ExtendedErrorCode](err); ok { // the library's text is the same for all errors of input and output
		err = fmt.Errorf("%w (%scode %d of SQLite)", err, operations[code], int(code))
	}
	return fmt.Errorf("%w: %s: %w", sqldb.ErrFailed, s.path(databaseFile), err)
}

var operations = map[sqlite3.ExtendedErrorCode]string{
	sqlite3.IOERR_READ: "read, ", sqlite3.IOERR_WRITE: "write, ", sqlite3.IOERR_FSYNC: "fsync, ", sqlite3.IOERR_TRUNCATE: "truncate, ",
}

// mark has the next start rebuild the file.
func (s *DB) mark(cause error) {
	if err := os.WriteFile(s.path(damagedMark), []byte(cause.Error()+"\n"), 0o600); err != nil {
		s.Warn("the damage cannot be marked for the next start", "error", err)
	}
}

// Close lets the log be checkpointed and removed. Where another process reads the file
// just then the log stays, and with it what it holds.
func (s *DB) Close(context.Context) error {
	close(s.stop)
	s.stopped.Wait()
	for range readers {
		if c := <-s.pool; c != nil {
			c.close()
		}
	}
	err := s.writer.conn.BusyTimeout(time.Second)
	if err == nil {
		_, _, err = s.writer.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	}
	if errors.Is(err, sqlite3.BUSY) {
		s.Warn("another process reads the store, so its log stays for the next start", "file", s.path(databaseFile+"-wal"))
		err = nil
	}
	err = errors.Join(err, s.writer.close())
	return errors.Join(err, s.lock.Close())
}

// connection is a connection with its prepared statements. It is used by one
// goroutine at a time.
type connection struct {
	conn  *sqlite3.Conn
	cache map[string]*sqlite3.Stmt
}

// errPanic wraps a panic of the database's code: its connection is not used again.
var errPanic = errors.New("panic in the database")

// transaction runs do between begin and COMMIT, or undoes it.
func (c *connection) transaction(begin string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	if err := c.Exec(begin); err != nil {
		return err
	}
	if err = do(); err == nil {
		if err = c.Exec(`COMMIT`); err == nil {
			return nil
		}
	}
	if !c.conn.GetAutocommit() {
		err = errors.Join(err, c.Exec(`ROLLBACK`))
	}
	return err
}

func (c *connection) prepare(sql string) (s *sqlite3.Stmt, err error) {
	if s = c.cache[sql]; s == nil {
		if s, _, err = c.conn.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err == nil {
			c.cache[sql] = s
		}
	}
	return s, err
}

// run binds and runs a statement; each row is passed to each.
func (c *connection) run(sql string, each func(sqldb.Row) error, args []any) error {
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
		err = each(stmtRow{s})
	}
	if err == nil {
		err = s.Err()
	}
	if reset := s.Reset(); err == nil && !errors.Is(reset, sqlite3.ABORT) {
		err = reset
	}
	if errors.Is(err, sqldb.ErrStop) {
		return nil
	}
	return err
}

func (c *connection) Exec(sql string, args ...any) error { return c.run(sql, nil, args) }

func (c *connection) Query(sql string, each func(sqldb.Row) error, args ...any) error {
	return c.run(sql, each, args)
}

func (c *connection) close() error {
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

type stmtRow struct{ s *sqlite3.Stmt }

func (r stmtRow) Scan(to ...any) error {
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
