package avroexport

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// TestExport reads a storage export back and holds it against the events.
func TestExport(t *testing.T) {
	e := mockbraze.Emission{Events: 1020, Seed: 6}
	glossary, err := schemas.Load()
	require.NoError(t, err)
	dir := t.TempDir()
	var lines bytes.Buffer
	w := New(dir, glossary)
	require.NoError(t, mockbraze.Emit(t.Context(), io.MultiWriter(w, &lines), e))
	require.NoError(t, w.Close())
	want := make(map[string]map[string]any)
	for line := range strings.Lines(lines.String()) {
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		want[event["id"].(string)] = event
	}
	files, err := filepath.Glob(filepath.Join(dir, "dataexport.*.integration.*", "event_type=*", "date=????-??-??-??", "version=12", "*.avro"))
	require.NoError(t, err)
	require.Greater(t, len(files), 102)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), `"doc":"`)
		dec, err := ocf.NewDecoder(bytes.NewReader(text))
		require.NoError(t, err)
		for dec.HasNext() {
			var record map[string]any
			require.NoError(t, dec.Decode(&record))
			event := want[record["id"].(string)]
			require.NotNil(t, event, "%v comes twice or is no event", record)
			delete(want, record["id"].(string))
			require.Contains(t, file, "event_type="+event["event_type"].(string)+"/")
			require.EqualValues(t, event["time"], record["time"])
			require.Contains(t, file, time.Unix(record["time"].(int64), 0).UTC().Format("date=2006-01-02-15"))
			for _, object := range []string{"user", "properties"} {
				for name, v := range event[object].(map[string]any) {
					requireStored(t, name, v, record)
				}
			}
		}
		require.NoError(t, dec.Error())
	}
	require.Empty(t, want)

	_, err = New(files[0], glossary).Write(lines.Bytes())
	require.ErrorContains(t, err, "not a directory")
	_, err = New(dir, glossary).Write([]byte(`{"event_type":"users.fax.Sent"}` + "\n"))
	require.ErrorContains(t, err, `"users.fax.Sent"`)
}

func requireStored(t *testing.T, name string, v any, record map[string]any) {
	t.Helper()
	stored := record[name]
	if list, ok := stored.(map[string]any); ok {
		stored = list["array"]
	}
	if list, ok := v.([]any); ok && slices.Contains(list, nil) {
		return // media_urls: the reader gives the branches of the items, too
	}
	if object, ok := v.(map[string]any); ok { // free objects are JSON text
		text, err := json.Marshal(object)
		require.NoError(t, err)
		require.JSONEq(t, string(text), record["properties"].(string))
		return
	}
	if f, ok := v.(float64); ok {
		require.InDelta(t, f, stored, 0, name)
		return
	}
	require.Equal(t, v, stored, name)
}
