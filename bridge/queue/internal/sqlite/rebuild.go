package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// rebuild copies what can be read of a damaged file into a new one, which takes
// its place; the damaged one is kept beside it. What could not be read of the
// events that were pending becomes dead letters with the reason damaged, so that
// the ledger adds up.
func (s *DB) rebuild(ctx context.Context, cause error) error {
	began := time.Now()
	s.Warn("the store is damaged and is rebuilt from what can be read", "file", s.path(databaseFile), "error", cause)
	if err := restoreLength(s.path(databaseFile)); err != nil {
		return err
	}
	r := &rebuilding{}
	err := s.makeFile(rebuiltFile, func(to *connection) (err error) {
		if r.from, err = s.open(s.path(databaseFile)); err != nil {
			return err
		}
		r.to = to
		// Closing it copies its log into the damaged file, which is kept.
		return errors.Join(r.copy(ctx), r.from.close())
	})
	if err != nil {
		file, missing := os.Stat(s.path(databaseFile))
		if free, _ := s.Disk(); missing == nil && free >= 0 && free < file.Size() {
			err = fmt.Errorf("it takes as much disk again, %s, and %s are free: %w", progress.Bytes(file.Size()), progress.Bytes(free), err)
		}
		return fmt.Errorf("the store could not be rebuilt: %w", err)
	}
	if err := s.swap(); err != nil {
		return err
	}
	if len(r.names) > 0 {
		s.Warn("the names of connectors are out of a damaged page: see whether they are right", "names", r.names)
	}
	if r.ledgers > 0 {
		s.Warn("totals are lost, and begin anew with what the store holds", "connectors", r.ledgers)
	}
	s.Warn("the store is rebuilt", "unreadable_places", r.lost, "events_set_aside", r.setAside, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// restoreLength makes a file that was cut short as long again as its header says
// (https://sqlite.org/fileformat2.html#the_database_header): SQLite reads nothing
// of a shorter one. What was cut off reads as damage.
func restoreLength(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := make([]byte, 32)
	if _, err := f.ReadAt(header, 0); err != nil || string(header[:16]) != "SQLite format 3\x00" {
		return nil // it is damaged beyond its length
	}
	const most = 1 << 40 // a length beyond is damage itself
	if size := int64(binary.BigEndian.Uint32(header[28:])) * pageSize; size > info.Size() && size < most {
		return f.Truncate(size)
	}
	return nil
}

// rebuilding is the state of a rebuild.
type rebuilding struct {
	from, to  *connection
	unchecked bool     // pages are read that do not match their checksums
	lost      int      // places that could not be read
	names     []string // of connectors, out of unchecked pages
	ledgers   int64    // that are lost
	setAside  int64    // events
}

func (r *rebuilding) copy(ctx context.Context) error {
	if err := checkFormat(r.from); errors.Is(err, sqldb.ErrNewerFormat) {
		return err
	}
	if _, err := sqldb.QueryInt(r.from, `SELECT count(*) FROM sqlite_schema`); err != nil {
		return errors.Join(errNothingLeft, err) // without the first page no row is found but by reading it unchecked
	}
	return r.to.transaction(`BEGIN IMMEDIATE`, func() error {
		var damaged []string
		for _, table := range []string{"meta", "record", "ids", "replay", "connector", "ledger", "letter", "body"} {
			lost := r.lost
			if err := r.copyTable(ctx, table); err != nil {
				return err
			}
			if r.lost > lost && slices.Contains([]string{"connector", "ledger", "letter", "body"}, table) {
				damaged = append(damaged, table)
			}
		}
		if err := r.copyUnchecked(ctx, damaged); err != nil {
			return err
		}
		if connectors, err := sqldb.QueryInt(r.to, `SELECT count(*) FROM connector`); err != nil || connectors == 0 && r.lost > 0 {
			return errors.Join(err, errNothingLeft)
		}
		return r.balance()
	})
}

// errNothingLeft means that a rebuild would be an empty store.
var errNothingLeft = fmt.Errorf("%w: nothing of it can be read", sqldb.ErrDamaged)

// copyUnchecked copies rows that are right by all signs out of pages that do not match
// their checksums: one damaged page above others would hide all of them.
func (r *rebuilding) copyUnchecked(ctx context.Context, tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	if err := r.from.conn.Exec(uncheckedPages); err != nil {
		return err
	}
	r.unchecked = true
	for _, table := range tables {
		if err := r.copyTable(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// trusts tells whether a row of an unchecked page is right by all signs. A body has a
// checksum of its own, and is that of its record where connector, time and number of events
// agree. A ledger adds up. A dead letter is kept to be looked at, where the ledger misses
// one. Without the name of a connector nothing of it can be found.
func (r *rebuilding) trusts(table string, columns []string, row []any, b body.Decoded) bool {
	switch table {
	case "letter":
		altered := slices.Index(columns, "altered")
		left, err := sqldb.QueryInt(r.to, `SELECT n FROM (`+missing+`) WHERE connector = $1`, row[1])
		events, _ := row[slices.Index(columns, "events")].(int64)
		if altered < 0 || err != nil || events < 1 || events > left {
			return false
		}
		row[altered] = int64(1)
		return true
	case "connector":
		r.names = append(r.names, fmt.Sprint(row[1]))
		return true
	case "ledger":
		n := func(column int) int64 { v, _ := row[column].(int64); return v }
		pending, err := sqldb.QueryInt(r.to, `SELECT coalesce(sum(pending), 0) FROM record WHERE connector = $1`, row[0])
		return err == nil && n(2) == n(3)+n(4) && n(4) == n(5)+n(6)+n(7)+n(8)+pending
	}
	found, err := sqldb.QueryInt(r.to, `SELECT count(*) FROM record WHERE seq = $1 AND connector = $2 AND received = $3 AND events = $4`,
		row[0], b.Connector, b.Received, int64(len(b.Lengths)))
	return err == nil && found == 1
}

// errOrder means that rows do not come in order: damaged pages can lead in circles.
var errOrder = errors.New("rows are not in order")

// copyTable copies the rows that can be read, in their order, and goes on behind
// those that cannot. Of bodies only whole ones are copied.
func (r *rebuilding) copyTable(ctx context.Context, table string) error {
	var columns string
	// Tables of an earlier version may have fewer.
	err := r.from.Query(`SELECT group_concat(name, ', ') FROM pragma_table_info($1)`, func(row sqldb.Row) error { return row.Scan(&columns) }, table)
	if err != nil {
		return err
	}
	read := `SELECT rowid, ` + columns + ` FROM ` + table + ` WHERE rowid >= $1 ORDER BY rowid`
	or := map[bool]string{false: "INSERT OR REPLACE", true: "INSERT OR IGNORE"}[r.unchecked]
	write := strings.Replace(sqldb.Insert(table, columns), "INSERT", or, 1)
	values := make([]any, strings.Count(columns, ",")+2)
	for at, found := int64(0), true; found; {
		var failed error
		err := r.from.Query(read, func(row sqldb.Row) error {
			if err := row.(stmtRow).s.Columns(values...); err != nil {
				return err
			}
			if values[0].(int64) < at {
				return errOrder
			}
			at = values[0].(int64) + 1
			var b body.Decoded
			if data, ok := values[2].([]byte); ok && table == "body" {
				var bad error
				if b, bad = body.Decode(data); bad != nil {
					r.lost++
					return nil
				}
			}
			if r.unchecked && !r.trusts(table, strings.Split(columns, ", "), values[1:], b) {
				return nil
			}
			if failed = r.to.Exec(write, values[1:]...); failed == nil {
				failed = ctx.Err()
			}
			return failed
		}, at)
		if failed != nil || err == nil {
			return failed
		}
		r.lost++
		at, found = r.beyond(read+` LIMIT 1`, at)
	}
	return nil
}

// beyond returns the first place after bad from which rows can be read: it looks
// further and further ahead for one, and then for the first of those.
func (r *rebuilding) beyond(read string, bad int64) (at int64, found bool) {
	readable := func(at int64) bool {
		return r.from.Query(read, func(sqldb.Row) error { return nil }, at) == nil
	}
	step := int64(1)
	for !readable(bad + step) {
		if step *= 2; step > 1<<61 {
			return 0, false
		}
	}
	low, high := bad+step/2, bad+step // high can be read
	for low+1 < high {
		if middle := low + (high-low)/2; readable(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, true
}

// missing counts the events that the ledger has and no table.
const missing = `SELECT connector, accepted - filtered - delivered - purged
 - (SELECT coalesce(sum(pending), 0) FROM record WHERE record.connector = ledger.connector)
 - (SELECT coalesce(sum(events), 0) FROM letter WHERE letter.connector = ledger.connector) AS n FROM ledger`

const countDead = `SELECT coalesce(sum(dead), 0) FROM ledger`

// balance makes dead letters of what was pending of records whose bodies are lost,
// and of the events that the ledger has and no table any more, and corrects the
// ledger's sums of what the tables hold. A ledger that cannot be read starts from zero.
func (r *rebuilding) balance() error {
	before, err := sqldb.QueryInt(r.to, countDead)
	if err == nil {
		r.ledgers, err = sqldb.QueryInt(r.to, `SELECT count(*) FROM connector WHERE id NOT IN (SELECT connector FROM ledger)`)
	}
	if err != nil {
		return err
	}
	err = r.to.conn.Exec(`INSERT OR IGNORE INTO ledger (connector, bridge) SELECT id, '' FROM connector;
INSERT INTO letter (connector, received, died, reason, answer, events)
 SELECT connector, received, received, 'damaged', 'its bytes cannot be read', pending FROM record WHERE pending > 0 AND seq NOT IN (SELECT seq FROM body);
DELETE FROM record WHERE seq NOT IN (SELECT seq FROM body)`)
	if err != nil {
		return err
	}
	if err = r.keepOrphans(); err != nil {
		return err
	}
	err = r.to.conn.Exec(`INSERT INTO letter (connector, received, died, reason, answer, events)
 SELECT connector, now, now, 'damaged', 'they cannot be found any more', n
 FROM (` + missing + `), (SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now) WHERE n > 0;
UPDATE ledger SET dead = (SELECT coalesce(sum(events), 0) FROM letter WHERE letter.connector = ledger.connector),
 history = (SELECT coalesce(sum(stored), 0) FROM record WHERE pending = 0 AND record.connector = ledger.connector);
UPDATE ledger SET accepted = filtered + delivered + purged + dead
 + (SELECT coalesce(sum(pending), 0) FROM record WHERE record.connector = ledger.connector);
UPDATE ledger SET received = duplicates + accepted`)
	after, failed := sqldb.QueryInt(r.to, countDead)
	r.setAside = after - before
	return errors.Join(err, failed)
}

// keepOrphans makes dead letters of the events of bodies whose records are lost,
// the newest first, as long as they are not more than what is missing.
func (r *rebuilding) keepOrphans() error {
	left := map[int64]int64{}
	err := r.to.Query(missing, func(row sqldb.Row) error {
		var connector, n int64
		err := row.Scan(&connector, &n)
		left[connector] = n
		return err
	})
	if err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	var failed error
	err = r.to.Query(`SELECT data FROM body WHERE seq NOT IN (SELECT seq FROM record) ORDER BY seq DESC`, func(row sqldb.Row) error {
		var data []byte
		if err := row.Scan(&data); err != nil {
			return err
		}
		b, err := body.Decode(data)
		if err != nil || int64(len(b.Lengths)) > left[b.Connector] {
			return nil
		}
		left[b.Connector] -= int64(len(b.Lengths))
		for _, event := range b.Split() {
			failed = errors.Join(failed, r.to.Exec(sqldb.Insert("letter", "connector, received, died, reason, answer, events, event"),
				b.Connector, b.Received, now, "damaged", "whether it was delivered cannot be read any more", int64(1), event))
		}
		return failed
	})
	if err == nil {
		err = r.to.conn.Exec(`DELETE FROM body WHERE seq NOT IN (SELECT seq FROM record)`)
	}
	return err
}
