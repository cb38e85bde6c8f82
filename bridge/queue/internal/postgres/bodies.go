package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// A new table of bodies is begun once the newest has so many bytes, or this part of the
// store where that is more: what is kept longer than it should be is small beside the
// rest, and there are never many tables.
const tableBytes, tablePart = 1 << 20, 32

// Body implements sqldb.Database: the table's number is in the upper bits of the record's.
func (p *DB) Body(seq int64) string { return bodyTable(seq >> 32) }

func bodyTable(number int64) string { return "body_" + strconv.FormatInt(number, 10) }

// beginTable makes the statements that make a table of bodies. From their commit on,
// new records belong to it. The row of the newest table always stays, so that numbers
// only grow.
func beginTable(number int64) string {
	name := bodyTable(number)
	return `CREATE TABLE IF NOT EXISTS ` + name + ` (seq BIGINT PRIMARY KEY, data BYTEA NOT NULL);
ALTER TABLE ` + name + ` ALTER COLUMN data SET STORAGE EXTERNAL;
INSERT INTO body_table VALUES (` + strconv.FormatInt(number, 10) + `);
INSERT INTO meta VALUES ('begun', extract(epoch FROM now())::bigint::text) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
}

// Maintain measures the store, begins a new table of bodies where it is time, and drops
// those that no record names. It does so about once a second, or every five where it has
// to try out whether there is room again.
func (p *DB) Maintain(ctx context.Context, _ func() bool, _ func(func(sqldb.Tx) error) error) error {
	pause := time.Second / 2
	if p.full.Load() {
		pause = 5 * time.Second
	}
	if time.Since(p.asked) < pause {
		return nil
	}
	p.asked = time.Now()
	var err error
	if p.leader.Load() {
		err = p.replaceTable(ctx)
		// It may take long where rows of many records are gone and cannot be removed yet.
		if time.Since(p.dropped) >= min(20*p.took, 10*time.Second) {
			err = errors.Join(err, p.dropTables(ctx))
		}
	}
	return errors.Join(err, p.lookForRoom(ctx), p.measure(ctx))
}

// measure asks how large the store is.
func (p *DB) measure(ctx context.Context) error {
	var used int64
	err := p.pool.QueryRow(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE c.relkind = 'r'
 AND c.relnamespace = current_schema()::regnamespace AND (c.relname IN ('record', 'ids', 'batch', 'letter') OR c.relname LIKE 'body\_%')`).Scan(&used)
	if err == nil {
		p.used.Store(used)
	}
	return err
}

// replaceTable begins a new table where the newest is large, or old and not empty.
func (p *DB) replaceTable(ctx context.Context) error {
	var number int64
	var done bool
	err := p.pool.QueryRow(ctx, `SELECT span, coalesce(pg_total_relation_size(t) > $1 OR pg_relation_size(t) > 0 AND begun < extract(epoch FROM now()) - $2::bigint, true)
 FROM (SELECT span, (SELECT value::bigint FROM meta WHERE name = 'begun') AS begun, to_regclass('body_' || span) AS t FROM body_table ORDER BY span DESC LIMIT 1) AS newest`,
		max(tableBytes, p.used.Load()/tablePart), int64(p.span/time.Second)).Scan(&number, &done)
	if err == nil && done {
		if _, err = p.pool.Exec(ctx, beginTable(number+1)); raced(err) {
			err = nil // another bridge has done it
		}
	}
	return err
}

// unnamed is the condition that no record has its body in the table of a row.
const unnamed = `NOT EXISTS (SELECT FROM record WHERE seq >= t.span << 32 AND seq < (t.span + 1) << 32)`

// dropTables drops the tables that no record names, and none named at the look before:
// who has listed records just now can still read them. The newest stays.
func (p *DB) dropTables(ctx context.Context) error {
	began := time.Now()
	numbers, err := sqldb.QueryRows(ctx, p, `SELECT span FROM body_table t WHERE span < (SELECT max(span) FROM body_table) AND `+unnamed, sqldb.One[int64])
	for _, number := range numbers {
		if err == nil && slices.Contains(p.unnamed, number) {
			err = p.dropTable(ctx, number)
		}
	}
	p.unnamed, p.dropped, p.took = numbers, began, time.Since(began)
	p.fresh.Store(true)
	return err
}

// dropTable drops a table that still no record names once it is locked. A transaction
// that wrote into it has ended by then. One that is about to write into it fails, runs
// again, and gets numbers of the newest table.
func (p *DB) dropTable(ctx context.Context, number int64) error {
	return pgx.BeginFunc(ctx, p.pool, func(t pgx.Tx) error {
		// Autovacuum gives way after a second. A backup does not, and is not waited for.
		_, err := t.Exec(ctx, `SET LOCAL lock_timeout = '2s'; LOCK TABLE `+bodyTable(number))
		if err != nil {
			return err
		}
		gone, err := t.Exec(ctx, `DELETE FROM body_table t WHERE span = $1 AND `+unnamed, number)
		if err != nil || gone.RowsAffected() == 0 {
			return err
		}
		_, err = t.Exec(ctx, `DROP TABLE `+bodyTable(number))
		return err
	})
}

// lookForRoom finds out whether a full disk has room for some batches again, by a table
// of 16 MB that is undone.
func (p *DB) lookForRoom(ctx context.Context) error {
	if !p.full.Load() {
		return nil
	}
	t, err := p.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback(ctx) }() // which drops it
	if _, err = t.Exec(ctx, `CREATE UNLOGGED TABLE room AS SELECT repeat('x', 1900) FROM generate_series(1, 8192)`); diskFull(err) {
		return nil
	}
	p.full.Store(err != nil)
	return err
}

func diskFull(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "53100"
}

// Prunes tells whether this bridge prunes now: once after each time that tables were
// dropped, or it would prune again for what it has pruned already.
func (p *DB) Prunes() bool { return p.leader.Load() && p.fresh.Swap(false) }

// Size implements sqldb.Database. The server says nothing of its disk but that it is full.
func (p *DB) Size() (used, spare, free, total int64) {
	if p.full.Load() {
		return p.used.Load(), 0, 0, 0
	}
	return p.used.Load(), 0, -1, 0
}

// Wipe vacuums the tables that hold events.
func (p *DB) Wipe(ctx context.Context) error {
	numbers, err := sqldb.QueryRows(ctx, p, `SELECT span FROM body_table`, sqldb.One[int64])
	if err != nil {
		return err
	}
	list := "letter"
	for _, number := range numbers {
		list += ", " + bodyTable(number)
	}
	_, err = p.pool.Exec(ctx, `VACUUM `+list)
	return err
}
