package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// What a connector without records asks for often walks over no records of others,
// whatever the planner knows of the table, and also where it was planned before; and
// nothing is compiled.
func TestQueriesKeepToTheirIndex(t *testing.T) {
	p, _ := twoBridges(t)
	conn, err := p.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	queries := map[string]struct{ sql, args, index string }{
		"claim":  {fmt.Sprintf(claimRecords, 256), "1, 0, 1, 0", "record_claim"},
		"oldest": {`SELECT received` + sqldb.OldestPending, "1, 0", "record_pending"},
		"free":   {freeRecords, "1, 1, 0, '{}'", "record_owner"},
		"sums":   {`SELECT sum(history) FROM ledger WHERE history > $1`, "0", ""},
	}
	for name, q := range queries {
		_, err := conn.Conn().Prepare(t.Context(), name, q.sql)
		require.NoError(t, err)
	}
	for _, fill := range []string{
		`SELECT`, // the table is empty
		`INSERT INTO record SELECT n, 2, n, 1, n % 3, 1, 1, n % 2 * 7 FROM generate_series(1, 30000) n`,
		`ANALYZE record`,
		`UPDATE record SET pending = 0, owner = 0`,
		`VACUUM ANALYZE record`,
	} {
		_, err := conn.Exec(t.Context(), fill)
		require.NoError(t, err)
		for name, q := range queries {
			rows, err := conn.Query(t.Context(), `EXPLAIN EXECUTE `+name+`(`+q.args+`)`)
			require.NoError(t, err)
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			text := strings.Join(plan, "\n")
			if q.index != "" {
				require.Contains(t, text, "using "+q.index+" on", "%s after %s", name, fill)
			}
			require.Contains(t, text, "$1", "%s is planned for each call", name)
			require.NotRegexp(t, "Sort|JIT", text, "%s after %s", name, fill)
		}
	}
}
