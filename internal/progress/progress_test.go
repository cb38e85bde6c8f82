package progress

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 16 << 20: "16 MiB", 3500 << 20: "3.4 GiB", 1 << 40: "1 TiB", -1: "-1 B"} {
		require.Equal(t, want, Bytes(n))
	}
	for n, want := range map[int64]string{
		0: "0 events", 999: "999 events", 1: "1 event", 1000: "1,000 events", 1234567: "1,234,567 events",
		-1000: "-1,000 events", -100: "-100 events",
	} {
		require.Equal(t, want, Count("events")(n))
	}
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Start(&out, "validate", Bytes, 10_240)
		n, err := io.Copy(io.Discard, io.TeeReader(strings.NewReader(strings.Repeat("x", 2560)), m))
		require.NoError(t, err)
		require.EqualValues(t, 2560, n)
		time.Sleep(5*time.Second + time.Millisecond) // fake time
		synctest.Wait()
		require.Equal(t, "validate: 2.5 KiB of 10 KiB (25 %), 512 B/s, 15s left\n", out.String())
		m.Add(7680)
		m.Stop()
		require.Contains(t, out.String(), "validate: 10 KiB of 10 KiB (100 %)")
	})
}

func TestShortWorkShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Start(&out, "validate", Count("events"), 0)
		m.Add(5)
		time.Sleep(time.Second)
		m.Stop()
		require.Empty(t, out.String())

		m = Start(&out, "emit", Count("events"), 1_000_000)
		m.KeepLast()
		m.Add(1_000_000)
		time.Sleep(time.Second)
		m.Stop()
		require.Equal(t, "emit: 1,000,000 events of 1,000,000 events (100 %), 1,000,000 events/s\n", out.String())
	})
}
