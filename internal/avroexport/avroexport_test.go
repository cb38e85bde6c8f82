package avroexport

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// TestExport holds the files of an export against the layout of Braze's. Tests of
// package storageexport hold the events in them against those over HTTP.
func TestExport(t *testing.T) {
	glossary, dir := journeytest.Glossary(t), t.TempDir()
	var lines bytes.Buffer
	w := New(dir, glossary)
	require.NoError(t, mockbraze.Emit(t.Context(), io.MultiWriter(w, &lines), mockbraze.Emission{Events: 510, Seed: 6}))
	require.NoError(t, w.Close())
	files, err := filepath.Glob(filepath.Join(dir, "dataexport.*.integration.*", "event_type=*", "date=????-??-??-??", "version=12", "*.avro"))
	require.NoError(t, err)
	require.Greater(t, len(files), 102)
	ids := make(map[any]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), `"doc":"`)
		dec, err := ocf.NewDecoder(bytes.NewReader(text))
		require.NoError(t, err)
		require.Contains(t, file, "event_type="+dec.Schema().(*avro.RecordSchema).FullName()+"/")
		for dec.HasNext() {
			var record map[string]any
			require.NoError(t, dec.Decode(&record))
			require.Contains(t, file, time.Unix(record["time"].(int64), 0).UTC().Format("date=2006-01-02-15"))
			ids[record["id"]] = true
		}
		require.NoError(t, dec.Error())
	}
	require.Len(t, ids, 510)

	_, err = New(files[0], glossary).Write(lines.Bytes())
	require.ErrorContains(t, err, "not a directory")
	_, err = New(dir, glossary).Write([]byte(`{"event_type":"users.fax.Sent"}` + "\n"))
	require.ErrorContains(t, err, `"users.fax.Sent"`)
}
