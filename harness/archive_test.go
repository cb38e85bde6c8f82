package harness

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArchiveGivesBackWhatItWasGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sent")
	a, err := newArchive(path)
	require.NoError(t, err)
	defer a.Close()
	var refs []uint64
	var events [][]byte
	for i := range 3000 {
		event := fmt.Appendf(nil, `{"n":%d,"pad":"%s"}`, i, bytes.Repeat([]byte("x"), i%700))
		if i == 1500 {
			event = bytes.Repeat([]byte("y"), 1<<20)
		}
		ref, err := a.Put(event)
		require.NoError(t, err)
		refs, events = append(refs, ref), append(events, event)
	}
	for i, ref := range refs {
		got, err := a.Get(ref)
		require.NoError(t, err)
		require.True(t, bytes.Equal(events[i], got), "event %d", i)
	}
	_, err = a.Get(1 << 40)
	require.Error(t, err)
	_, err = newArchive(path)
	require.Error(t, err, "an archive is never written over")
}
