package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// rebuild copies what can be read of a damaged file into a new one, which takes
// its place; the damaged one is kept beside it. What could not be read of the
// events that were pending becomes dead letters with the reason damaged, so that
// the ledger adds up.
func (s *sqlite) rebuild(ctx context.Context, cause error) error {
	began := time.Now()
	s.log("the store is damaged and is rebuilt from what can be read", "file", s.path(databaseFile), "error", cause)
	old, err := sqlite3.Open(s.uri(s.path(databaseFile)))
	if err != nil {
		return err
	}
	from := &sqliteConn{conn: old, cache: map[string]*sqlite3.Stmt{}}
	defer from.close()
	const fresh = databaseFile + "-new"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.path(fresh + suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
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
	s.log("the store is rebuilt", "unreadable_rows", r.lost, "events_set_aside", r.setAside, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// replace puts the new file into the place of the damaged one, which is kept.
func (s *sqlite) replace(fresh string, now time.Time) error {
	kept := s.path(databaseFile + "." + now.UTC().Format("20060102-150405") + ".damaged")
	if err := os.Rename(s.path(databaseFile), kept); err != nil {
		return err
	}
	if err := os.Rename(s.path(fresh), s.path(databaseFile)); err != nil {
		return err
	}
	for _, name := range []string{databaseFile + "-wal", databaseFile + "-shm", damagedMark} {
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// rebuilding is a rebuild on its way.
type rebuilding struct {
	from, to *sqliteConn
	lost     int   // rows that could not be read, as far as they show
	setAside int64 // events
}

// Columns of the tables whose rows are copied one by one, their key first.
var rebuilt = []struct{ table, columns string }{
	{"connector", "id, name"},
	{"record", "seq, connector, received, events, pending, size, stored, owner, backfilled, settled, outcome"},
	{"ids", "seq, connector, events, hashes"},
	{"letter", "number, connector, seq, idx, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id, event"},
	{"replay", "number, connector, request, started, ended, next_seq, last_seq, replayed, refused, skipped"},
}

func (r *rebuilding) copy(ctx context.Context) error {
	return r.to.transaction(`BEGIN IMMEDIATE`, func() error {
		if err := r.copyMeta(); err != nil {
			return err
		}
		for _, t := range rebuilt {
			if err := r.copyTable(ctx, t.table, t.columns); err != nil {
				return err
			}
		}
		if err := r.copyBodies(ctx); err != nil {
			return err
		}
		if err := r.copyLedgers(); err != nil {
			return err
		}
		return r.balance()
	})
}

// copyMeta keeps the name of the store, from which the ids of events without one
// are made. Where it cannot be read, the new one stays.
func (r *rebuilding) copyMeta() error {
	var name string
	err := r.from.query(`SELECT value FROM meta WHERE name = 'store'`, func(row row) error { return row.scan(&name) })
	if err != nil || name == "" {
		r.lost++
		return nil
	}
	return r.to.exec(`UPDATE meta SET value = ? WHERE name = 'store'`, name)
}

// copyTable copies the rows that can be read, in the order of their keys.
func (r *rebuilding) copyTable(ctx context.Context, table, columns string) error {
	key, marks := columns, "?"
	for i := range columns {
		if columns[i] == ',' {
			if key == columns {
				key = columns[:i]
			}
			marks += ", ?"
		}
	}
	values := make([]any, (len(marks)+2)/3)
	read := `SELECT ` + columns + ` FROM ` + table + ` WHERE ` + key + ` = ?`
	write := `INSERT OR IGNORE INTO ` + table + ` (` + columns + `) VALUES (` + marks + `)`
	return r.eachKey(ctx, table, key, func(n int64) error {
		err := r.from.query(read, func(row row) error { return row.(sqliteRow).values(values) }, n)
		if err != nil {
			r.lost++
			return nil
		}
		return r.to.exec(write, values...)
	})
}

// values reads all columns as what they are.
func (r sqliteRow) values(to []any) error {
	for i := range to {
		switch r.s.ColumnType(i) {
		case sqlite3.NULL:
			to[i] = nil
		case sqlite3.INTEGER:
			to[i] = r.s.ColumnInt64(i)
		case sqlite3.BLOB:
			to[i] = append([]byte{}, r.s.ColumnRawBlob(i)...)
		default:
			to[i] = r.s.ColumnText(i)
		}
	}
	return r.s.Err()
}

// eachKey passes the keys of a table to do, in order. Where keys cannot be read it
// goes on behind them: it looks further and further ahead for one that can be,
// and then for the first of those.
func (r *rebuilding) eachKey(ctx context.Context, table, key string, do func(int64) error) error {
	next := func(from int64) (found int64, ok bool, err error) {
		err = r.from.query(`SELECT `+key+` FROM `+table+` WHERE `+key+` >= ? ORDER BY `+key+` LIMIT 1`, func(row row) error {
			ok = true
			return row.scan(&found)
		}, from)
		return found, ok, err
	}
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, ok, err := next(at)
		if err != nil {
			r.lost++
			if n, ok = r.beyond(at, next); !ok {
				return nil
			}
		} else if !ok {
			return nil
		}
		if err := do(n); err != nil {
			return err
		}
		at = n + 1
	}
}

// beyond returns the first key at or after bad that can be read.
func (r *rebuilding) beyond(bad int64, next func(int64) (int64, bool, error)) (int64, bool) {
	low, high := bad, int64(-1) // high can be read
	for step := int64(1); step < 1<<62; step *= 2 {
		if _, _, err := next(bad + step); err == nil {
			high = bad + step
			break
		}
		low = bad + step
	}
	if high < 0 {
		return 0, false
	}
	for low+1 < high {
		middle := low + (high-low)/2
		if _, _, err := next(middle); err == nil {
			high = middle
		} else {
			low = middle
		}
	}
	n, ok, err := next(high)
	return n, ok && err == nil
}

// copyBodies copies the bodies that are whole. A record that is settled and whose
// body is not goes; what was pending of one becomes dead letters. A body whose
// record is lost is kept as dead letters too, if events are missing from the
// ledger; see balance.
func (r *rebuilding) copyBodies(ctx context.Context) error {
	err := r.eachKey(ctx, "body", "seq", func(seq int64) error {
		var data []byte
		if err := r.from.query(`SELECT data FROM body WHERE seq = ?`, func(row row) error { return row.scan(&data) }, seq); err != nil {
			r.lost++
			return nil
		}
		if _, err := decodeBody(data); err != nil {
			r.lost++
			return nil
		}
		return r.to.exec(`INSERT INTO body (seq, data) VALUES (?, ?)`, seq, data)
	})
	if err != nil {
		return err
	}
	err = r.to.exec(`INSERT INTO letter (connector, seq, idx, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id)
 SELECT connector, seq, 0, received, received, ?, 0, 'its bytes cannot be read', 0, pending, '', '', '', '' FROM record
 WHERE pending > 0 AND NOT EXISTS (SELECT 1 FROM body WHERE body.seq = record.seq)`, ReasonDamaged)
	if err == nil {
		err = r.to.exec(`DELETE FROM record WHERE NOT EXISTS (SELECT 1 FROM body WHERE body.seq = record.seq)`)
	}
	return err
}

const ledgerColumns = "connector, bridge, received, duplicates, accepted, filtered, delivered, dead, purged, replayed, backfilled, history, last_seq"

// copyLedgers copies the ledgers. One that cannot be read begins anew.
func (r *rebuilding) copyLedgers() error {
	values := make([]any, 13)
	err := r.from.query(`SELECT `+ledgerColumns+` FROM ledger`, func(row row) error {
		if err := row.(sqliteRow).values(values); err != nil {
			return err
		}
		return r.to.exec(`INSERT OR REPLACE INTO ledger (`+ledgerColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...)
	})
	if err != nil {
		r.lost++
	}
	return r.to.exec(`INSERT OR IGNORE INTO ledger (connector, bridge) SELECT id, '' FROM connector`)
}

// balance makes dead letters of the events that the ledger has and no table any
// more, and corrects the ledger's sums of what the tables hold.
func (r *rebuilding) balance() error {
	var connectors []int64
	err := r.to.query(`SELECT id FROM connector`, func(row row) error {
		var id int64
		err := row.scan(&id)
		connectors = append(connectors, id)
		return err
	})
	for _, id := range connectors {
		if err == nil {
			err = r.balanceOne(id)
		}
	}
	if err == nil {
		err = r.to.exec(`DELETE FROM body WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.seq = body.seq)`)
	}
	return err
}

func (r *rebuilding) balanceOne(id int64) error {
	ledger, err := readLedger(r.to, id)
	if err != nil {
		return err
	}
	sum := func(sql string) (n int64) {
		if err == nil {
			n, err = one(r.to, sql, id)
		}
		return n
	}
	pending := sum(`SELECT coalesce(sum(pending), 0) FROM record WHERE connector = ?`)
	lost := ledger.accepted - ledger.filtered - ledger.delivered - ledger.purged - pending - sum(`SELECT coalesce(sum(events), 0) FROM letter WHERE connector = ?`)
	if err != nil {
		return err
	}
	if lost > 0 {
		if lost, err = r.keepOrphans(id, lost); err != nil {
			return err
		}
	}
	if lost > 0 {
		err := r.to.exec(`INSERT INTO letter (connector, seq, idx, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id)
 VALUES (?, 0, 0, ?, ?, ?, 0, 'they cannot be found any more', 0, ?, '', '', '', '')`,
			id, time.Now().UnixMicro(), time.Now().UnixMicro(), ReasonDamaged, lost)
		if err != nil {
			return err
		}
	}
	dead := sum(`SELECT coalesce(sum(events), 0) FROM letter WHERE connector = ?`)
	r.setAside += max(0, dead-ledger.dead)
	history := sum(`SELECT coalesce(sum(stored), 0) FROM record WHERE pending = 0 AND connector = ?`)
	if err != nil {
		return err
	}
	accepted := ledger.filtered + ledger.delivered + ledger.purged + pending + dead
	return r.to.exec(`UPDATE ledger SET dead = ?, accepted = ?, received = duplicates + ?, history = ? WHERE connector = ?`,
		dead, accepted, accepted, history, id)
}

// keepOrphans makes dead letters of the events of bodies whose records are lost,
// the newest first, as long as they are not more than what is missing, and
// returns how many are missing still.
func (r *rebuilding) keepOrphans(id, lost int64) (int64, error) {
	var orphans []int64
	err := r.to.query(`SELECT seq FROM body WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.seq = body.seq) ORDER BY seq DESC`, func(row row) error {
		var seq int64
		err := row.scan(&seq)
		orphans = append(orphans, seq)
		return err
	})
	if err != nil {
		return lost, err
	}
	for _, seq := range orphans {
		var data []byte
		if err := r.to.query(`SELECT data FROM body WHERE seq = ?`, func(row row) error { return row.scan(&data) }, seq); err != nil {
			return lost, err
		}
		b, err := decodeBody(data)
		if err != nil || b.connector != id || int64(len(b.events)) > lost {
			continue
		}
		for i, event := range b.events {
			err := r.to.exec(`INSERT INTO letter (connector, seq, idx, received, died, reason, status, answer, attempts, events, type, event_id, user_id, external_id, event)
 VALUES (?, ?, ?, ?, ?, ?, 0, 'whether it was delivered cannot be read any more', 0, 1, '', '', '', '', ?)`,
				id, seq, int64(i), b.received, time.Now().UnixMicro(), ReasonDamaged, event)
			if err != nil {
				return lost, err
			}
		}
		lost -= int64(len(b.events))
	}
	return lost, nil
}
