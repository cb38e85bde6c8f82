package storageexport_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

func reader(t testing.TB, as string) *storageexport.Reader {
	x, err := storageexport.New(journeytest.Glossary(t), as)
	require.NoError(t, err)
	return x
}

// parts are an event's members, and those of user and properties, each as its
// very bytes, without those that are null.
func parts(t *testing.T, event []byte) map[string]string {
	out := map[string]string{}
	var top map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(event, &top), "%s", event)
	for name, raw := range top {
		if name != "user" && name != "properties" {
			out[name] = string(raw)
			continue
		}
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &members))
		out[name] = ""
		for member, raw := range members {
			if string(raw) != "null" {
				out[name+"."+member] = string(raw)
			}
		}
	}
	return out
}

// TestEqualsHTTP exports events of every type, retired ones included, with all
// codecs. It holds the files against the layout of Braze's, and what is read against the
// events as HTTP has them.
func TestEqualsHTTP(t *testing.T) {
	dir := t.TempDir()
	var lines bytes.Buffer
	w := storageexport.NewWriter(dir, journeytest.Glossary(t))
	require.NoError(t, mockbraze.Emit(t.Context(), io.MultiWriter(w, &lines), mockbraze.Emission{Events: 525, Seed: 4, Retired: true}))
	require.NoError(t, w.Close())
	want, types := map[string]map[string]string{}, map[string]bool{}
	for line := range strings.Lines(lines.String()) {
		event := parts(t, []byte(line))
		want[event["id"]] = event
		types[event["event_type"]] = true
	}
	require.Len(t, types, len(journeytest.Glossary(t).Events))

	x, codecs := reader(t, ""), map[string]bool{}
	files, err := filepath.Glob(filepath.Join(dir, "dataexport.*.integration.*", "event_type=*", "date=????-??-??-??", "version=12", "*.avro"))
	require.NoError(t, err)
	require.Greater(t, len(files), len(types))
	for _, path := range files {
		text := casefile.Text(t, path)
		require.Contains(t, text, `"doc":"`)
		dec, err := ocf.NewDecoder(strings.NewReader(text))
		require.NoError(t, err)
		require.Contains(t, path, "event_type="+dec.Schema().(*avro.RecordSchema).FullName()+"/")
		codecs[string(dec.Metadata()["avro.codec"])] = true
		number := 0
		form, err := x.Read(path, strings.NewReader(text), func(r storageexport.Record) error {
			require.NoError(t, r.Err)
			number++
			require.Equal(t, number, r.Number)
			event := parts(t, r.Event)
			require.Equal(t, want[event["id"]], event)
			require.Equal(t, event["time"], fmt.Sprint(r.Time))
			require.Contains(t, path, time.Unix(r.Time, 0).UTC().Format("date=2006-01-02-15"))
			delete(want, event["id"])
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, storageexport.Avro, form)
	}
	require.Empty(t, want)
	require.Equal(t, map[string]bool{"null": true, "deflate": true, "snappy": true, "zstandard": true}, codecs)
	require.Empty(t, x.LeftOut())

	_, err = storageexport.NewWriter(files[0], journeytest.Glossary(t)).Write(lines.Bytes())
	require.ErrorContains(t, err, "not a directory")
	_, err = storageexport.NewWriter(dir, journeytest.Glossary(t)).Write([]byte(`{"event_type":"users.fax.Sent"}` + "\n"))
	require.ErrorContains(t, err, `"users.fax.Sent"`)
}

const open = "users.messages.email.Open"

// TestJSON reads flat records as JSON.
func TestJSON(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/records.tsv", 6) {
		t.Run(tt[0], func(t *testing.T) {
			x := reader(t, tt[2])
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			_, err := z.Write([]byte("\n" + tt[5] + "\r\n\n" + tt[5]))
			require.NoError(t, err)
			require.NoError(t, z.Close())
			records := 0
			form, err := x.Read(tt[1], &zipped, func(r storageexport.Record) error {
				records++
				require.Equal(t, records, r.Number)
				if tt[3] != "" {
					require.ErrorContains(t, r.Err, tt[3])
					return nil
				}
				require.NoError(t, r.Err)
				require.Equal(t, tt[4], string(r.Event))
				return nil
			})
			require.NoError(t, err)
			require.Equal(t, storageexport.JSON, form)
			require.Equal(t, 2, records)
			if strings.Contains(tt[5], "carrier") && tt[3] == "" {
				require.Equal(t, map[string]map[string]int{open: {"carrier": 2}}, x.LeftOut())
			}
		})
	}
	_, err := storageexport.New(journeytest.Glossary(t), "users.fax.Sent")
	require.ErrorContains(t, err, "users.fax.Sent")
}

// schema is as an older or newer version has it: fields that are known and not,
// in another order, of other types of Avro.
const schema = `{"type":"record","name":"Open","namespace":"com.braze.users.messages.email","fields":[
	{"name":"gender","type":["null","string"]},
	{"name":"time","type":"int"},
	{"name":"machine_open","type":["null",{"type":"enum","name":"yes","symbols":["true","false"]}]},
	{"name":"send_time","type":["null","float"]},
	{"name":"nested","type":{"type":"map","values":{"type":"array","items":["null","string"]}}},
	{"name":"ip_pool","type":["null",{"type":"array","items":["null","string"]}]},
	{"name":"id","type":"string"}]}`

func write(t testing.TB, codec ocf.CodecName, n int) []byte {
	var out bytes.Buffer
	enc, err := ocf.NewEncoder(schema, &out, ocf.WithCodec(codec), ocf.WithBlockLength(10))
	require.NoError(t, err)
	gender, half := "F", float32(0.1)
	for i := range n {
		require.NoError(t, enc.Encode(map[string]any{
			"gender": gender, "time": i, "machine_open": map[string]any{"com.braze.users.messages.email.yes": "true"}, "send_time": half,
			"ip_pool": map[string]any{"array": []any{nil, map[string]any{"string": "<&\u2028"}}},
			"nested":  map[string]any{"a": []any{nil, map[string]any{"string": "b"}}}, "id": fmt.Sprint("id-", i, "\x01\"\\\xff"),
		}))
	}
	require.NoError(t, enc.Close())
	return out.Bytes()
}

// read reads a file, and returns the numbers of its good records and how many
// were lost.
func read(t testing.TB, x *storageexport.Reader, text []byte) (good []int, lost int, err error) {
	_, err = x.Read("f", bytes.NewReader(text), func(r storageexport.Record) error {
		if r.Err != nil {
			lost += r.Lost
			return nil
		}
		require.True(t, json.Valid(r.Event), "%s", r.Event)
		good = append(good, r.Number)
		return nil
	})
	return good, lost, err
}

// TestBrokenAvro breaks files of each codec, and reads what is left of them.
func TestBrokenAvro(t *testing.T) {
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard} {
		t.Run(string(codec), func(t *testing.T) {
			text := write(t, codec, 30)
			marker := text[len(text)-16:]
			x := reader(t, "")
			good, lost, err := read(t, x, text)
			require.NoError(t, err)
			require.Len(t, good, 30)
			require.Zero(t, lost)
			require.Equal(t, map[string]map[string]int{open: {"gender": 30, "nested": 30}}, x.LeftOut())

			good, _, err = read(t, x, text[:len(text)-3])
			require.ErrorContains(t, err, "cut off")
			require.Len(t, good, 20)

			// The second block: its length, its marker, and its content.
			first := bytes.Index(text, marker) + 16
			second := first + bytes.Index(text[first:], marker) + 16
			third := second + bytes.Index(text[second:], marker)
			for name, at := range map[string]int{"length": second + 1, "marker": third + 3, "content": second + 8} {
				broken := bytes.Clone(text)
				for i := range 5 {
					broken[at+i] ^= 0xff
				}
				good, lost, err = read(t, x, broken)
				require.NoError(t, err, name)
				require.Contains(t, good, 1, name)
				require.NotZero(t, lost, name)
				if name != "marker" { // then the third block's is the next
					require.GreaterOrEqual(t, len(good), 20, "%s: the third block is read", name)
				}
			}
		})
	}
	for name, text := range map[string][]byte{
		"cut off":         []byte("Obj\x01\x02"),
		"no schema":       []byte("Obj\x01\x00" + strings.Repeat("m", 16)),
		"is not known":    bytes.Replace(write(t, ocf.Snappy, 1), []byte("codec\x0csnappy"), []byte("codec\x0csnapp!"), 1),
		"size is greater": append([]byte("Obj\x01"), binary.AppendVarint(binary.AppendVarint(nil, 2), 1<<40)...),
		"which event ty":  bytes.Replace(write(t, ocf.Null, 1), []byte("email.Open"), []byte("email.Oops"), 1),
	} {
		_, _, err := read(t, reader(t, ""), text)
		require.ErrorContains(t, err, name, name)
	}
}

// To make room for as many items as a damaged list says it has would take 1 GB.
func TestWrongLengthOfAList(t *testing.T) {
	text := write(t, ocf.Null, 0)
	body := append(binary.AppendVarint([]byte{0, 0, 0, 0, 0, 2}, 60<<20), make([]byte, 50)...)
	text = slices.Concat(text, binary.AppendVarint([]byte{2}, int64(len(body))), body, text[len(text)-16:])
	x := reader(t, "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, lost, err := read(t, x, text)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, 1, lost)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

// TestNestedValues reads a free object that is a record instead of text, and one that is
// nested too deeply. A time of a logical type of Avro stays a number.
func TestNestedValues(t *testing.T) {
	var file bytes.Buffer
	enc, err := ocf.NewEncoder(`{"type":"record","name":"Purchase","namespace":"com.braze.users.behaviors","fields":[
		{"name":"id","type":"string"},
		{"name":"time","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"properties","type":{"type":"record","name":"node","fields":[
			{"name":"map","type":{"type":"map","values":"long"}},
			{"name":"next","type":["null","node"]}]}}]}`, &file)
	require.NoError(t, err)
	require.NoError(t, enc.Close())
	for nested, want := range map[int]string{
		1:   `{"map":{"n":1},"next":{"map":{},"next":null}}`,
		200: "nested too deeply",
	} {
		record := "\x02a" + "\x0e" + "\x02\x02n\x02\x00" + strings.Repeat("\x02\x00", nested) + "\x00"
		text := slices.Concat(file.Bytes(), binary.AppendVarint([]byte{2}, int64(len(record))), []byte(record), file.Bytes()[file.Len()-16:])
		_, err := reader(t, "").Read("f", bytes.NewReader(text), func(r storageexport.Record) error {
			if r.Err != nil {
				require.ErrorContains(t, r.Err, want)
				return nil
			}
			require.Equal(t, `{"event_type":"users.behaviors.Purchase","id":"a","properties":{"purchase_properties":`+want+`},"time":7,"user":{}}`, string(r.Event))
			return nil
		})
		require.NoError(t, err)
	}
}

// TestVersions reads a file whose schema is another version's.
func TestVersions(t *testing.T) {
	_, err := reader(t, "").Read("f", bytes.NewReader(write(t, ocf.Snappy, 1)), func(r storageexport.Record) error {
		require.NoError(t, r.Err)
		require.Equal(t, `{"event_type":"users.messages.email.Open","id":"id-0\u0001\"\\`+"\uFFFD"+`","properties":{"ip_pool":[null,"<&`+"\u2028"+`"],"machine_open":"true","send_time":0.1},"time":0,"user":{}}`, string(r.Event))
		return nil
	})
	require.NoError(t, err)
}

// FuzzRead reads broken files: an end without a panic, and only valid events.
func FuzzRead(f *testing.F) {
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate, ocf.Snappy, ocf.ZStandard} {
		f.Add(write(f, codec, 3))
	}
	f.Add([]byte(`{"id":"a","time":7,"user_id":{"string":"u"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _, _ = read(t, reader(t, open), text)
	})
}
