package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// What is asked often goes along one index, with a generic plan and without JIT: whatever
// the planner knows of the table, and also where it planned while the table was empty.
func TestQueriesKeepToTheirIndex(t *testing.T) {
	p, _ := twoBridges(t)
	conn, err := p.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	queries := map[string]struct{ sql, args, index string }{
		"claim":  {fmt.Sprintf(claimRecords, 256), "1, 0, 1, 0", "record_claim"},
		"oldest": {`SELECT received FROM record WHERE ` + sqldb.PendingInOrder + ` LIMIT 1`, "1, 0", "record_pending"},
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
		`TRUNCATE record`,
		`INSERT INTO record SELECT n, 2, n, 1, n / 60001, 1, 1, CASE WHEN n <= 60100 THEN 7 ELSE 0 END, n / 70001 FROM generate_series(1, 75000) n`,
		`ANALYZE record`, // what is settled keeps its owner
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

// A claim of live records does not walk over backfilled ones.
func TestClaimsBesideBackfilledRecords(t *testing.T) {
	p, _ := twoBridges(t)
	_, err := p.pool.Exec(t.Context(), `INSERT INTO record SELECT n, 1, n, 1, 1, 1, 1, 0, 1 FROM generate_series(1, 30000) n`)
	require.NoError(t, err)
	rows, err := p.pool.Query(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+fmt.Sprintf(claimRecords, 256), 1, 30000, 1, 0)
	require.NoError(t, err)
	plan, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]struct {
		Plan struct {
			Read int `json:"Shared Hit Blocks"`
		}
	}])
	require.NoError(t, err)
	require.Less(t, plan[0].Plan.Read, 20, "pages")
}
