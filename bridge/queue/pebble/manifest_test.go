package pebble

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// TestManifestCut cuts the manifest everywhere, where the logs that it needs no
// more are gone: what it has forgotten must not be deleted, nor missed silently.
func TestManifestCut(t *testing.T) {
	w := makeWreck(t, false)
	files, err := listFiles(w.fs, damageDir)
	require.NoError(t, err)
	var logs []string
	for _, f := range files {
		if f.kind == logFile {
			logs = append(logs, f.name)
		}
	}
	names, err := w.fs.List(damageDir)
	require.NoError(t, err)
	opened, refused := 0, 0
	for _, name := range names {
		if kindOf(name) != "MANIFEST" {
			continue
		}
		b := readFile(t, w.fs, name)
		for at := len(b); at >= 0; at -= 11 {
			fs := w.clone(t)
			for _, log := range logs[:len(logs)-1] {
				require.NoError(t, fs.Remove(fs.PathJoin(damageDir, log)))
			}
			writeFile(t, fs, name, b[:at])
			before, err := listFiles(fs, damageDir)
			require.NoError(t, err)
			s, err := Open(damageDir, Options{FS: fs, CheckEvery: time.Hour, RetainAge: time.Hour})
			if err == nil {
				for _, name := range []string{"a", "b"} {
					events, _, err := drain(t, s, name)
					require.NoError(t, err)
					require.Equal(t, w.pending[name], events, at)
				}
				require.NoError(t, s.Close())
				opened++
				continue
			}
			require.ErrorIs(t, err, queue.ErrDamaged)
			refused++
			for _, f := range before { // a repair needs all of them
				_, err := fs.Stat(fs.PathJoin(damageDir, f.name))
				require.NoError(t, err, "%d: %s was deleted", at, f.name)
			}
			w.checkMended(t, fmt.Sprintf("cut@%d", at), fs)
		}
	}
	require.Positive(t, opened)
	require.Greater(t, refused, 50)
}
