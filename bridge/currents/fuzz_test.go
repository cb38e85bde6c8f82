package currents_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// rows gives the rows of a file in testdata: what is expected of a text, a space, and
// the text as Go quotes it.
func rows(t testing.TB, file string) iter.Seq2[string, string] {
	all := casefile.Text(t, "testdata/"+file)
	return func(yield func(want, text string) bool) {
		for line := range strings.Lines(all) {
			want, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
			text, err := strconv.Unquote(quoted)
			require.NoError(t, err, line)
			if !yield(want, text) {
				return
			}
		}
	}
}

// unusualBodies are bodies at the edges of JSON and of what a batch is.
func unusualBodies(t testing.TB) []string {
	bodies := []string{
		`{"events":[` + nest(200) + `]}`, strings.Repeat("[", 129), strings.Repeat(`{"a":`, 129),
		`{"a":` + strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 100) + `,"events":[]}`,
	}
	for _, body := range rows(t, "bodies.txt") {
		bodies = append(bodies, body)
	}
	return bodies
}

// FuzzScan holds Scan against encoding/json: the same bodies are valid, and
// the same events are found in them.
func FuzzScan(f *testing.F) {
	for _, body := range unusualBodies(f) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > 9000 {
			return // encoding/json stops at a depth of 10,000
		}
		var batch currents.Batch
		checkScan(t, &batch, body)
	})
}

// TestScanRandomBodies scans bodies that are changed at random, valid and not, with
// one Batch, and holds them against encoding/json.
func TestScanRandomBodies(t *testing.T) {
	tokens := []string{
		`{`, `}`, `[`, `]`, `,`, `:`, ` `, `"user":{`, `,"user_id":"u"`, `"us\u0065r":`, `{"id":1}`, `{}`, `[]`, `,{"a.b":[null]}`, `true`, `-1.5e3`, `"x\ud83d\ude00"`, `"\"`, "\"\xff\"",
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var batch currents.Batch
	valid := 0
	for range 20 {
		for _, text := range unusualBodies(t) {
			body := []byte(text)
			for range 1 + rng.IntN(2) {
				at := rng.IntN(len(body) + 1)
				body = slices.Insert(body, at, []byte(tokens[rng.IntN(len(tokens))])...)
			}
			checkScan(t, &batch, body)
			if json.Valid(body) {
				valid++
			}
		}
	}
	require.Greater(t, valid, 50, "too few are valid")
}

// checkScan scans body and compares with encoding/json.
func checkScan(t *testing.T, batch *currents.Batch, body []byte) {
	before := bytes.Clone(body)
	err := batch.Scan(body)
	require.Equal(t, before, body, "Scan changed the body")
	require.Equal(t, json.Valid(body), !errors.Is(err, currents.ErrNotJSON), "%v: %s", err, body)
	want, ok := decodeEvents(body)
	require.Equal(t, ok, err == nil, "%v: %s", err, body)
	for _, e := range batch.Events {
		require.Equal(t, string(want[0]), string(body[e.Start:e.End]))
		checkEvent(t, &e, want[0])
		for _, raw := range want[1:e.Count] {
			require.False(t, e.Object || raw[0] == '{')
		}
		want = want[e.Count:]
	}
	require.Empty(t, want)
}

// decodeEvents finds the events of a body as encoding/json sees them.
func decodeEvents(body []byte) ([]json.RawMessage, bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return nil, false
	}
	raw, ok := top["events"]
	if !ok || raw[0] != '[' {
		return nil, false
	}
	var events []json.RawMessage
	return events, json.Unmarshal(raw, &events) == nil
}

func checkEvent(t *testing.T, e *currents.Event, raw []byte) {
	require.Equal(t, raw[0] == '{', e.Object)
	_ = e.Problem()
	if !e.Object {
		return
	}
	var event, user map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &event))
	if len(event["user"]) > 0 && event["user"][0] == '{' {
		require.NoError(t, json.Unmarshal(event["user"], &user))
	}
	require.Equal(t, string(event["event_type"]), string(e.Type))
	require.Equal(t, string(event["id"]), string(e.ID))
	require.Equal(t, string(user["user_id"]), string(e.UserID))
	require.Equal(t, string(user["external_user_id"]), string(e.ExternalUserID))
	members := map[string]string{}
	for f := currents.Fields(raw); f.Next(); {
		// encoding/json puts U+FFFD where a key is not UTF-8.
		var key string
		require.NoError(t, json.Unmarshal([]byte(`"`+string(f.Key())+`"`), &key))
		members[key] = string(f.Value())
	}
	require.Len(t, members, len(event))
	for key, value := range event {
		require.Equal(t, string(value), members[key])
	}
}
