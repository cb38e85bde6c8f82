package harness

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

func TestRunOnPostgreSQL(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	r := requirePass(t, Config{Events: 1000, Faults: FaultsCrash, Crashes: 2, Queue: database})
	require.Equal(t, r.Acked, r.Delivered+r.Dead)
	require.Equal(t, 2, r.Crashes)
}
