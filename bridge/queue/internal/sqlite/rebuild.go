package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/body"
	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
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
	from, err := s.open(s.path(databaseFile))
	if err != nil {
		return err
	}
	defer from.close()
	const fresh = databaseFile + "-new"
	if err := s.remove(fresh, fresh+"-wal", fresh+"-shm"); err != nil {
		return err
	}
	to, err := s.connect(fresh, false)
	if err != nil {
		return err
	}
	r := &rebuilding{from: from, to: to}
	err = r.copy(ctx)
	if err == nil {
		_, _, err = to.conn.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	}
	if err = errors.Join(err, to.close()); err != nil {
		return fmt.Errorf("the store could not be rebuilt: %w", err)
	}
	if err := s.replace(fresh, began); err != nil {
		return err
	}
	s.Warn("the store is rebuilt", "unreadable_rows", r.lost, "events_set_aside", r.setAside, "took", time.Since(began).Round(time.Millisecond))
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

// replace puts the new file into the place of the damaged one, which is kept.
func (s *DB) replace(fresh string, now time.Time) error {
	kept := s.path(databaseFile + "." + now.UTC().Format("20060102-150405") + ".damaged")
	if err := os.Rename(s.path(databaseFile), kept); err != nil {
		return err
	}
	if err := os.Rename(s.path(fresh), s.path(databaseFile)); err != nil {
		return err
	}
	if err := s.remove(databaseFile+"-wal", databaseFile+"-shm", damagedMark); err != nil {
		return err
	}
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// remove removes those of the files that there are.
func (s *DB) remove(names ...string) error {
	for _, name := range names {
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rebuilding is the state of a rebuild.
type rebuilding struct {
	from, to *connection
	lost     int   // rows that could not be read, as far as they show
	setAside int64 // events
}

func (r *rebuilding) copy(ctx context.Context) error {
	return r.to.transaction(`BEGIN IMMEDIATE`, func() error {
		for _, table := range []string{"meta", "connector", "ledger", "record", "ids", "letter", "replay", "body"} {
			if err := r.copyTable(ctx, table); err != nil {
				return err
			}
		}
		if connectors, err := sqldb.QueryInt(r.to, `SELECT count(*) FROM connector`); err != nil || connectors == 0 && r.lost > 0 {
			return errors.Join(err, errNothingLeft)
		}
		return r.balance()
	})
}

// errNothingLeft means that a rebuild would be an empty store.
var errNothingLeft = fmt.Errorf("%w: nothing of it can be read", sqldb.ErrDamaged)

// copyTable copies the rows that can be read, in their order, and goes on behind
// those that cannot. Of bodies only whole ones are copied.
func (r *rebuilding) copyTable(ctx context.Context, table string) error {
	var columns string
	err := r.to.Query(`SELECT group_concat(name, ', ') FROM pragma_table_info($1)`, func(row sqldb.Row) error { return row.Scan(&columns) }, table)
	if err != nil {
		return err
	}
	read := `SELECT rowid, ` + columns + ` FROM ` + table + ` WHERE rowid >= $1 ORDER BY rowid`
	write := strings.Replace(sqldb.Insert(table, columns), "INSERT", "INSERT OR REPLACE", 1)
	values := make([]any, strings.Count(columns, ",")+2)
	for at, found := int64(0), true; found; {
		var failed error
		err := r.from.Query(read, func(row sqldb.Row) error {
			if err := row.(stmtRow).s.Columns(values...); err != nil {
				return err
			}
			at = values[0].(int64) + 1
			if data, ok := values[2].([]byte); ok && table == "body" {
				if _, err := body.Decode(data); err != nil {
					r.lost++
					return nil
				}
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
