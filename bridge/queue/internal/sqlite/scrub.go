package sqlite

import (
	"context"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// pieceRows is how many rows Scrub reads in one transaction.
const pieceRows = 500

// part is a table or an index that Scrub reads, in the order of its keys.
type part struct{ name, columns, from, keys string }

func table(name string) part {
	return part{"table " + name, "rowid, *", name + " NOT INDEXED WHERE true", "rowid"}
}

func index(name, of, keys, where string) part {
	return part{"index " + name, keys, of + " INDEXED BY " + name + " WHERE " + where, keys}
}

// parts are all but the tables record, body and letter, which are read by what knows
// what is in them.
var parts = []part{
	table("meta"), table("connector"), table("ledger"), table("ids"), table("replay"), table("sqlite_sequence"),
	index("sqlite_autoindex_meta_1", "meta", "name", "true"),
	index("sqlite_autoindex_connector_1", "connector", "name", "true"),
	index("sqlite_autoindex_ledger_1", "ledger", "connector, bridge", "true"),
	index("record_pending", "record", "connector, seq, backfilled", "pending > 0"),
	index("ids_connector", "ids", "connector, seq", "true"),
	index("letter_connector", "letter", "connector, number", "true"),
	index("letter_reason", "letter", "connector, reason, number", "true"),
	index("letter_type", "letter", "connector, type, number", "true"),
	index("replay_connector", "replay", "connector, number", "true"),
}

// piece is the query that reads the first rows, or those behind a row's keys.
func (p part) piece(first bool) string {
	behind := ""
	if !first {
		marks := make([]string, strings.Count(p.keys, ",")+1)
		for i := range marks {
			marks[i] = "$" + strconv.Itoa(i+1)
		}
		behind = " AND (" + p.keys + ") > (" + strings.Join(marks, ", ") + ")"
	}
	return "SELECT " + p.columns + " FROM " + p.from + behind + " ORDER BY " + p.keys + " LIMIT " + strconv.Itoa(pieceRows)
}

// Scrub reads all that is beside records, bodies and dead letters, a piece at a time,
// and calls rest after each. What cannot be read is passed to damaged, and is marked for
// the next start; then it goes on with the next table or index. Errors of the two end it.
// From its begin on views read from the disk, and not what they had in memory.
func (s *DB) Scrub(ctx context.Context, rest func() error, damaged func(what string, err error) error) error {
	for range readers {
		select {
		case c := <-s.pool:
			if c != nil {
				c.close()
			}
			s.pool <- nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, p := range parts {
		err := s.readPart(ctx, p, rest)
		if s.Corrupt(err) {
			err = damaged(p.name, s.Classify(err))
		}
		if err != nil {
			return s.Classify(err)
		}
	}
	return nil
}

// readPart reads a part from its first row to its last.
func (s *DB) readPart(ctx context.Context, p part, rest func() error) error {
	keys := make([]any, strings.Count(p.keys, ",")+1)
	var behind []any
	for rows := pieceRows; rows == pieceRows; behind = keys {
		rows = 0
		err := s.View(ctx, func(t sqldb.Tx) error {
			return t.Query(p.piece(behind == nil), func(row sqldb.Row) error {
				rows++
				stmt := row.(stmtRow).s
				values := make([]any, stmt.ColumnCount())
				err := stmt.Columns(values...) // all of them, so that all of a row's pages are read
				copy(keys, values)
				return err
			}, behind...)
		})
		if err == nil {
			err = rest()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
