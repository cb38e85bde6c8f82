package delivery

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The log names the next try where there is one for the destination, and leaves
// it out before, while each batch waits for itself.
func TestTheLogNamesTheNextTryWhereThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, q := &rudder{}, newMemQueue()
		q.put(events("e", 1)...)
		r.set(answers(reply{status: 500}))
		b := start(t, q, r, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		b.settledWithin(t, time.Hour)
		require.Contains(t, log.String(), `msg="destination is in trouble"`)
		require.Contains(t, log.String(), "state=backing-off")
		require.NotContains(t, log.String(), "next_try")

		log.Reset()
		r.set(answers(reply{status: 500}, reply{}, reply{status: 401}))
		q.put(events("f", 1)...)
		b.settledWithin(t, time.Hour)
		require.Contains(t, log.String(), "state=paused")
		require.Contains(t, log.String(), "next_try=2000-01-01T")
		require.NotContains(t, log.String(), "0001-01-01")
		b.finish(t)
	})
}
