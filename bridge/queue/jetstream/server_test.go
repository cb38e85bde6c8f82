package jetstream

import (
	"log/slog"
	"testing"
	"time"
)

// patient is how long a test waits for what must happen.
const patient = 60 * time.Second

func logTo(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
