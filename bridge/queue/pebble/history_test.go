package pebble

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func openTest(t *testing.T, dir string, opts Options) *Store {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	s, err := Open(dir, opts)
	require.NoError(t, err)
	return s
}

func openTestQueue(t *testing.T, s *Store, name string) *connQueue {
	t.Helper()
	q, err := s.Open(t.Context(), name, 1000)
	require.NoError(t, err)
	return q.(*connQueue)
}
