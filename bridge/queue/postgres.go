package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
)

// PostgreSQL. Several bridges share the tables:
//
//   - Each running bridge has a row in bridge that it renews. A record that it has
//     claimed carries its number. A bridge whose row has run out is removed by
//     another one, and its records are free again.
//   - Claims read beyond the newest record that this bridge has claimed, and now
//     and then from the floor on, below which everything is settled. Rows that a
//     settled record has left behind, which a transaction held open elsewhere keeps
//     from being removed, are so walked over once and not by each claim.
//   - The bodies of a span of time are in a table of their own. It is dropped as a
//     whole once none of its records is left.
type postgres struct {
	store *Store
	pool  *pgxpool.Pool
	log   func(msg string, args ...any)
	await time.Duration // how long claims outlive a bridge
	span  int64         // seconds of bodies in one table

	id     atomic.Int64 // of this bridge's row
	lost   atomic.Bool  // another bridge has removed it: all claims are void
	leader atomic.Bool  // this bridge prunes
	used   atomic.Int64
	asked  time.Time // when used was measured; for the upkeep alone

	mu     sync.Mutex
	tables map[int64]bool // spans whose table is there
	sql    map[string]string
	floors map[floorKey]*floor

	// For the writer alone: which rows of ids are in the windows.
	known   map[int64]bool
	low     int64 // rows up to it need not be looked for
	newest  int64
	marked  time.Time // when marker was newest
	marker  int64
	looked  time.Time
	stopped sync.WaitGroup
	stop    chan struct{}
}

type floorKey struct {
	connector int64
	lane      lane
}

// floor is where the claims of a connector begin to look now and then.
type floor struct {
	seq    int64
	looked time.Time
	took   time.Duration
	events int64 // of a record, about
}

const createMeta = `CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS body_table (span BIGINT PRIMARY KEY)`

func poolConfig(opts Options) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if c.ConnConfig.Password == "" {
		c.ConnConfig.Password = opts.Password
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if c.ConnConfig.ValidateConnect == nil {
		c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "currentsbridge"
	}
	c.MaxConns = max(c.MaxConns, 8)
	return c, nil
}

// openPostgres makes the tables where they are missing and registers this bridge.
func openPostgres(ctx context.Context, s *Store, opts Options) (*postgres, error) {
	config, err := poolConfig(opts)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	if s.bridge = opts.Bridge; s.bridge == "" {
		s.bridge, _ = os.Hostname()
	}
	p := &postgres{
		store: s, pool: pool, log: opts.Logger.Warn, await: opts.AckWait, tables: map[int64]bool{}, sql: map[string]string{},
		floors: map[floorKey]*floor{}, known: map[int64]bool{}, stop: make(chan struct{}),
		span: int64(max(time.Hour, min(24*time.Hour, opts.RetainAge/12)) / time.Second),
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for try := 0; ; try++ {
		if err = p.create(ctx); err == nil || try == 5 || !raced(err) {
			break
		}
	}
	if err == nil {
		err = p.register(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, p.classify(err)
	}
	p.stopped.Go(p.beat)
	return p, nil
}

// raced tells an error that two bridges cause which make the tables at once.
func raced(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (slices.Contains([]string{"23505", "42P07", "42710", "40001", "40P01"}, e.Code))
}

// create makes the tables, one bridge at a time: the row of the format is locked.
func (p *postgres) create(ctx context.Context) error {
	if _, err := p.pool.Exec(ctx, createMeta); err != nil {
		return err
	}
	_, err := p.pool.Exec(ctx, `INSERT INTO meta VALUES ('format', $1), ('store', $2), ('span', $3) ON CONFLICT (name) DO NOTHING`,
		strconv.Itoa(formatVersion), strconv.FormatInt(time.Now().UnixNano(), 36), strconv.FormatInt(p.span, 10))
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.pool, func(t pgx.Tx) error {
		var format, span string
		if err := t.QueryRow(ctx, `SELECT value FROM meta WHERE name = 'format' FOR UPDATE`).Scan(&format); err != nil {
			return err
		}
		if version, err := strconv.Atoi(format); err != nil || version > formatVersion {
			return fmt.Errorf("%w: format %s, this one knows %d", ErrNewerFormat, format, formatVersion)
		}
		if err := t.QueryRow(ctx, `SELECT value FROM meta WHERE name = 'span'`).Scan(&span); err != nil {
			return err
		}
		p.span, _ = strconv.ParseInt(span, 10, 64)
		_, err := t.Exec(ctx, postgresSchema)
		return err
	})
}

// register makes this bridge's row.
func (p *postgres) register(ctx context.Context) error {
	var id, newest int64
	err := p.pool.QueryRow(ctx, `INSERT INTO bridge VALUES (nextval('bridge_id'), $1, now() + $2::bigint * INTERVAL '1 millisecond') RETURNING id`,
		p.store.bridge, p.await.Milliseconds()).Scan(&id)
	if err == nil {
		err = p.pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM ids`).Scan(&newest)
	}
	if err != nil {
		return err
	}
	p.id.Store(id)
	p.newest = newest
	p.low = newest - 1000 // what commits late
	return nil
}

// body implements database: the span is in the upper bits of the number.
func (p *postgres) body(seq int64) string { return "body_" + strconv.FormatInt(seq>>32, 10) }

// dollars writes the parameters as PostgreSQL wants them.
func (p *postgres) dollars(sql string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if out := p.sql[sql]; out != "" {
		return out
	}
	var b strings.Builder
	n := 0
	for _, c := range sql {
		if c == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(c)
	}
	if len(p.sql) < 1000 {
		p.sql[sql] = b.String()
	}
	return b.String()
}

// pgTx queues what returns no rows and sends it with the next query or the commit,
// in one trip.
type pgTx struct {
	ctx   context.Context
	p     *postgres
	conn  *pgx.Conn
	batch *pgx.Batch
}

func (t *pgTx) exec(sql string, args ...any) error {
	t.batch.Queue(t.p.dollars(sql), args...)
	return nil
}

func (t *pgTx) flush() error {
	if t.batch.Len() == 0 {
		return nil
	}
	batch := t.batch
	t.batch = &pgx.Batch{}
	return t.conn.SendBatch(t.ctx, batch).Close()
}

func (t *pgTx) query(sql string, each func(row) error, args ...any) error {
	if err := t.flush(); err != nil {
		return err
	}
	rows, err := t.conn.Query(t.ctx, t.p.dollars(sql), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(pgRow{rows}); err == errStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

type pgRow struct{ pgx.Rows }

func (r pgRow) scan(to ...any) error { return r.Scan(to...) }

// update implements database.
func (p *postgres) update(ctx context.Context, need prepare, do func(tx, *prepared) error) error {
	if p.lost.CompareAndSwap(true, false) {
		for _, q := range p.store.queues() {
			q.dropClaims()
		}
	}
	for try := 0; ; try++ {
		err := p.tryUpdate(ctx, need, do)
		var e *pgconn.PgError
		if try < 5 && errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01" || e.Code == "42P01") {
			if e.Code == "42P01" { // a table of bodies was dropped, or not made yet
				p.mu.Lock()
				clear(p.tables)
				p.mu.Unlock()
			}
			continue
		}
		return err
	}
}

func (p *postgres) tryUpdate(ctx context.Context, need prepare, do func(tx, *prepared) error) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	t := &pgTx{ctx: ctx, p: p, conn: conn.Conn(), batch: &pgx.Batch{}}
	ready, err := p.begin(ctx, t, need)
	if err == nil {
		err = do(t, ready)
	}
	if err == nil {
		t.batch.Queue(`COMMIT`)
		err = t.flush()
	}
	if err != nil {
		p.undo(conn.Conn(), err)
		return err
	}
	for _, seq := range ready.seqs {
		p.known[seq] = true // their ids are in the windows
	}
	return nil
}

// undo ends a transaction that failed. A connection to a server that has become
// read-only after a failover, or that does not answer, is closed.
func (p *postgres) undo(conn *pgx.Conn, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var e *pgconn.PgError
	if errors.As(cause, &e) && e.Code == "25006" {
		conn.Close(ctx)
		return
	}
	if _, err := conn.Exec(ctx, `ROLLBACK`); err != nil {
		conn.Close(ctx)
	}
}

// begin begins a transaction and finds out what it needs, in one trip, and one
// more for hashes of batches.
func (p *postgres) begin(ctx context.Context, t *pgTx, need prepare) (*prepared, error) {
	ready := &prepared{lost: map[int64]bool{}, known: make([]bool, len(need.content))}
	b := &pgx.Batch{}
	b.Queue(`BEGIN`)
	b.Queue(`SELECT (extract(epoch FROM now())::bigint / $1 << 32) + nextval('record_seq') % 4294967296 FROM generate_series(1, $2)`,
		p.span, need.records).Query(func(rows pgx.Rows) (err error) {
		ready.seqs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	if len(need.held) > 0 {
		for _, seq := range need.held {
			ready.lost[seq] = true
		}
		b.Queue(`SELECT seq FROM record WHERE seq = ANY($1) AND owner = $2 ORDER BY seq FOR UPDATE`, need.held, p.id.Load()).Query(func(rows pgx.Rows) error {
			var seq int64
			_, err := pgx.ForEachRow(rows, []any{&seq}, func() error {
				delete(ready.lost, seq)
				return nil
			})
			return err
		})
	}
	if need.records > 0 && time.Since(p.looked) > 50*time.Millisecond {
		p.queueForeignIDs(b, ready)
	}
	if err := t.conn.SendBatch(ctx, b).Close(); err != nil {
		return nil, err
	}
	if err := p.makeTables(ctx, ready.seqs); err != nil {
		return nil, err
	}
	return ready, p.insertContent(ctx, t, need, ready)
}

// queueForeignIDs asks for the ids that other bridges have stored. Rows become
// visible in another order than their numbers', so for some time each look goes
// back behind the newest one.
func (p *postgres) queueForeignIDs(b *pgx.Batch, ready *prepared) {
	const late = 10 * time.Second
	p.looked = time.Now()
	if p.looked.Sub(p.marked) > late {
		p.low = max(p.low, p.marker)
		p.marker, p.marked = p.newest, p.looked
		maps.DeleteFunc(p.known, func(seq int64, _ bool) bool { return seq <= p.low })
	}
	b.Queue(`SELECT connector, seq, hashes FROM ids WHERE seq > $1 AND NOT seq = ANY($2)`, p.low, slices.Collect(maps.Keys(p.known))).Query(func(rows pgx.Rows) error {
		var f foreignIDs
		_, err := pgx.ForEachRow(rows, []any{&f.connector, &f.seq, &f.hashes}, func() error {
			ready.ids = append(ready.ids, foreignIDs{f.connector, f.seq, slices.Clone(f.hashes)})
			p.known[f.seq] = true
			p.newest = max(p.newest, f.seq)
			return nil
		})
		return err
	})
}

// insertContent stores the hashes of batches, in their order so that two bridges
// do not wait for each other, and finds out which were there.
func (p *postgres) insertContent(ctx context.Context, t *pgTx, need prepare, ready *prepared) error {
	if len(need.content) == 0 {
		return nil
	}
	order := make([]int, len(need.content))
	for i := range order {
		order[i], ready.known[i] = i, true
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(string(need.content[a].hash), string(need.content[b].hash)) })
	b := &pgx.Batch{}
	for _, i := range order {
		c := need.content[i]
		b.Queue(`INSERT INTO batch VALUES ($1, $2, $3) ON CONFLICT (connector, hash) DO NOTHING RETURNING seq`, c.connector, c.hash, ready.seqs[0]).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				ready.known[i] = false
			}
			return rows.Err()
		})
	}
	return t.conn.SendBatch(ctx, b).Close()
}

// makeTables makes the tables for the bodies of new records, outside of the
// transaction that needs them.
func (p *postgres) makeTables(ctx context.Context, seqs []int64) error {
	for _, seq := range seqs {
		p.mu.Lock()
		there := p.tables[seq>>32]
		p.mu.Unlock()
		if there {
			continue
		}
		_, err := p.pool.Exec(ctx, `INSERT INTO body_table VALUES (`+strconv.FormatInt(seq>>32, 10)+`) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS `+p.body(seq)+` (seq BIGINT PRIMARY KEY, data BYTEA NOT NULL);
ALTER TABLE `+p.body(seq)+` ALTER COLUMN data SET STORAGE EXTERNAL`)
		if err != nil && !raced(err) {
			return err
		}
		p.mu.Lock()
		p.tables[seq>>32] = true
		p.mu.Unlock()
	}
	return nil
}

// view implements database.
func (p *postgres) view(ctx context.Context, do func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return p.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		return do(&pgTx{ctx: ctx, p: p, conn: c.Conn(), batch: &pgx.Batch{}})
	})
}

const claimRecords = `WITH c AS (
 SELECT seq FROM record WHERE connector = $1 AND backfilled = $5 AND seq > $2 AND pending > 0 AND owner = 0 ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED
) UPDATE record r SET owner = $4 FROM c WHERE r.seq = c.seq RETURNING r.seq, r.received, r.events, r.size, r.stored, r.outcome`

// claim implements database.
func (p *postgres) claim(ctx context.Context, connector int64, from lane, after int64, limit int) ([]claimed, error) {
	f := p.floor(connector, from)
	if f.events > 0 {
		limit = int(int64(limit)/f.events) + 1
	}
	begun := after
	look := time.Since(f.looked) > max(time.Second, 20*f.took)
	if look {
		begun = min(after, f.seq)
	}
	begin := time.Now()
	rows, err := p.pool.Query(ctx, claimRecords, connector, begun, limit, p.id.Load(), int64(from))
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c claimed, err error) {
		err = r.Scan(&c.seq, &c.received, &c.events, &c.size, &c.stored, &c.outcome)
		return c, err
	})
	if err != nil {
		return nil, err
	}
	if look {
		err = p.pool.QueryRow(ctx, `SELECT coalesce(min(seq) - 1, $2) FROM record WHERE connector = $1 AND pending > 0 AND seq > $2`, connector, f.seq).Scan(&f.seq)
		f.looked, f.took = time.Now(), time.Since(begin)
	}
	if n := int64(len(list)); n > 0 {
		events := int64(0)
		for _, c := range list {
			events += c.events
		}
		f.events = max(1, events/n)
	}
	return list, err
}

// floor returns the floor of a lane of a connector. Its queue claims one at a time.
func (p *postgres) floor(connector int64, of lane) *floor {
	key := floorKey{connector, of}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.floors[key]
	if f == nil {
		f = &floor{}
		p.floors[key] = f
	}
	return f
}

// beat keeps this bridge's claims and frees those of bridges that are gone.
func (p *postgres) beat() {
	every := min(p.await/4, 5*time.Second)
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), every)
		if err := p.renew(ctx, n%4 == 0); err != nil && n%10 == 0 {
			p.log("the queue's database does not answer", "error", err)
		}
		cancel()
		select {
		case <-p.stop:
			return
		case <-time.After(every):
		}
	}
}

func (p *postgres) renew(ctx context.Context, look bool) error {
	tag, err := p.pool.Exec(ctx, `UPDATE bridge SET alive_until = now() + $2::bigint * INTERVAL '1 millisecond' WHERE id = $1`, p.id.Load(), p.await.Milliseconds())
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 { // it did not answer for too long
		if err := p.register(ctx); err != nil {
			return err
		}
		p.lost.Store(true)
	}
	var first int64
	if err := p.pool.QueryRow(ctx, `SELECT min(id) FROM bridge WHERE alive_until > now()`).Scan(&first); err != nil {
		return err
	}
	p.leader.Store(first == p.id.Load())
	tag, err = p.pool.Exec(ctx, `DELETE FROM bridge WHERE alive_until < now()`)
	if err != nil || tag.RowsAffected() == 0 && !look {
		return err
	}
	for {
		tag, err := p.pool.Exec(ctx, `UPDATE record SET owner = 0 WHERE seq IN (SELECT seq FROM record
 WHERE pending > 0 AND owner <> 0 AND owner NOT IN (SELECT id FROM bridge) LIMIT 5000 FOR UPDATE SKIP LOCKED)`)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		p.log("claims of a bridge that is gone are free again", "records", tag.RowsAffected())
	}
}

func (p *postgres) prunes() bool { return p.leader.Load() }

// upkeep measures the store and drops the tables of bodies that have no records
// left.
func (p *postgres) upkeep(ctx context.Context, _ *writer) error {
	if time.Since(p.asked) < 10*time.Second {
		return nil
	}
	p.asked = time.Now()
	var used int64
	err := p.pool.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE c.relkind = 'r'
 AND c.relnamespace = current_schema()::regnamespace AND (c.relname IN ('record', 'ids', 'batch', 'letter') OR c.relname LIKE 'body\_%')`).Scan(&used)
	if err != nil {
		return err
	}
	p.used.Store(used)
	if !p.leader.Load() {
		return nil
	}
	rows, err := p.pool.Query(ctx, `SELECT span FROM body_table t WHERE span < extract(epoch FROM now())::bigint / $1 - 1
 AND NOT EXISTS (SELECT 1 FROM record WHERE seq >= t.span << 32 AND seq < (t.span + 1) << 32)`, p.span)
	if err != nil {
		return err
	}
	spans, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, span := range spans {
		if err == nil {
			_, err = p.pool.Exec(ctx, `DROP TABLE IF EXISTS `+p.body(span<<32)+`; DELETE FROM body_table WHERE span = `+strconv.FormatInt(span, 10))
		}
	}
	return err
}

func (p *postgres) size() (used, free, total int64) { return p.used.Load(), -1, 0 }

// ownReplay makes a replay this bridge's own, unless another one that lives has it.
func (p *postgres) ownReplay(ctx context.Context, number int64) (bool, error) {
	var owner int64
	if err := p.pool.QueryRow(ctx, `SELECT owner FROM replay WHERE number = $1`, number).Scan(&owner); err != nil || owner == p.id.Load() {
		return err == nil, err
	}
	tag, err := p.pool.Exec(ctx, `UPDATE replay SET owner = $2 WHERE number = $1 AND owner = $3 AND owner NOT IN (SELECT id FROM bridge)`, number, p.id.Load(), owner)
	return tag.RowsAffected() > 0, err
}

// vacuum removes what was deleted from the tables that hold events.
func (p *postgres) vacuum(ctx context.Context) error {
	rows, err := p.pool.Query(ctx, `SELECT span FROM body_table`)
	if err != nil {
		return err
	}
	spans, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	tables := []string{"letter"}
	for _, span := range spans {
		tables = append(tables, p.body(span<<32))
	}
	for _, table := range tables {
		if err == nil {
			_, err = p.pool.Exec(ctx, `VACUUM `+table)
		}
	}
	return err
}

func (p *postgres) corrupt(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "XX001" || e.Code == "XX002" || strings.Contains(e.Message, "compressed") && e.Code == "XX000")
}

// classify implements database. Nothing that a server says is for good: it may be
// repaired or replaced while the bridge runs.
func (p *postgres) classify(err error) error {
	var e *pgconn.PgError
	switch {
	case err == nil || known(err):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, errBody):
		return err
	case errors.Is(err, puddle.ErrClosedPool):
		return ErrClosed
	case errors.As(err, &e) && e.Code == "53100":
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// close gives back what this bridge has claimed.
func (p *postgres) close(ctx context.Context) error {
	close(p.stop)
	p.stopped.Wait()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := p.pool.Exec(ctx, `DELETE FROM bridge WHERE id = $1`, p.id.Load())
	if err == nil {
		_, err = p.pool.Exec(ctx, `UPDATE record SET owner = 0 WHERE pending > 0 AND owner = $1`, p.id.Load())
	}
	if err != nil {
		p.log("claims could not be given back; other bridges take them over after ack_wait", "error", err)
	}
	p.pool.Close()
	return nil
}

// Inspect connects to the database of the options, changes nothing, and returns
// what is allowed there and should be meant.
func Inspect(ctx context.Context, opts Options) (warnings []string, err error) {
	config, err := poolConfig(opts)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var version, fsync, commit string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&version, &fsync, &commit)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(version); err == nil && n < 140000 {
		warnings = append(warnings, fmt.Sprintf("the server is PostgreSQL %d; the bridge is tried with 14 and newer", n/10000))
	}
	if fsync == "off" {
		warnings = append(warnings, "fsync is off: a power cut can lose acknowledged events, and the whole database")
	}
	if commit == "off" {
		warnings = append(warnings, "synchronous_commit is off: a crash of the server can lose acknowledged events")
	}
	var standbys int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_replication`).Scan(&standbys); err == nil && standbys == 0 {
		warnings = append(warnings, "the server has no standby: what is pending is lost with its disk")
	}
	return warnings, nil
}
