package check

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/avroexport"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Avro files of every event type, one of them cut off, and flat records as JSON, one of
// them without its type.
func TestStorageExports(t *testing.T) {
	glossary, err := schemas.Load()
	require.NoError(t, err)
	dir := t.TempDir()
	w := avroexport.New(dir, glossary)
	require.NoError(t, mockbraze.Emit(t.Context(), w, mockbraze.Emission{Events: 102, Seed: 2}))
	require.NoError(t, w.Close())

	var out bytes.Buffer
	report, err := NewReporter("text", &out)
	require.NoError(t, err)
	c, err := New(Auto, report)
	require.NoError(t, err)
	cut := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if !cut {
			cut = true
			require.ErrorContains(t, c.Stream(path, bytes.NewReader(text[:len(text)-1])), "cut off")
		}
		return c.Stream(path, bytes.NewReader(text))
	}))
	flat := `{"id":"a","time":1700000000,"user_id":"u","external_user_id":"x","app_group_id":"g","campaign_id":"c","dispatch_id":"d","email_address":"e@example.com"}`
	require.NoError(t, c.Stream("x/event_type=users.messages.email.Open/part.json", strings.NewReader(flat)))
	require.NoError(t, c.Stream("in", strings.NewReader(flat)))
	s, err := c.Close()
	require.NoError(t, err)
	require.Equal(t, map[storageexport.Form]int{storageexport.Avro: 102, storageexport.JSON: 1}, s.Exported)
	require.Equal(t, 104, s.Events)
	require.Contains(t, out.String(), "in:1: (no type) id=a: (the event): storage_record: this is a record of Currents' storage export")
	require.Contains(t, out.String(), "say it with --as-type")
	require.Contains(t, out.String(), "; 102 taken for records of a storage export (Avro); 1 taken for records of a storage export (JSON); read 2 of 2 lines")
	require.Equal(t, 103, s.Valid, out.String())
}
