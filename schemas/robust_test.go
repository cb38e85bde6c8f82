package schemas_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
)

// judge runs everything that a Validator can say of some bytes.
func judge(v *schemas.Validator, raw []byte) []schemas.Verdict {
	return []schemas.Verdict{v.Event(raw), v.Batch(raw), v.Message(raw), v.MessageBatch(raw)}
}

// sample is a document of every kind, good and bad.
func sample(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for _, e := range load(t).Events {
		event := minimal(&e)
		out = append(out, marshal(t, event), marshal(t, object{"events": []any{event, 5}}))
		event["id"] = nil
		event["new"] = 1
		out = append(out, marshal(t, event))
	}
	for _, tc := range messages() {
		out = append(out, []byte(tc.raw), []byte(`{"batch":[`+tc.raw+`,`+tc.raw+`]}`))
	}
	return out
}

func TestConcurrentUse(t *testing.T) {
	v := validator()
	docs := sample(t)
	want := make([][]schemas.Verdict, len(docs))
	for i, raw := range docs {
		want[i] = judge(v, raw)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range docs {
				i = (i + worker*17) % len(docs)
				if got := judge(v, docs[i]); !reflect.DeepEqual(want[i], got) {
					t.Errorf("%s: %v, not %v", docs[i], got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestDeepNestingIsNoPanic(t *testing.T) {
	const event = `{"event_type":"new","id":"a","time":1,"properties":%P}`
	deep := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	require.Equal(t, []string{"/properties type"}, places(validator().Event([]byte(replace(event, "%P", deep))).Errors))

	tooDeep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	require.Equal(t, []string{" invalid_json"}, places(validator().Event([]byte(tooDeep)).Errors))
}

// A verdict never panics, is the same every time, and holds together.
func FuzzValidateEvent(f *testing.F) {
	for _, raw := range sample(f) {
		f.Add(raw)
	}
	f.Add([]byte(`{"events":[{"event_type":"users.messages.email.Open","id":"a","time":1e999999,"id":""}]}`))
	v := validator()
	f.Fuzz(func(t *testing.T, raw []byte) {
		for i, verdict := range judge(v, raw) {
			require.Equal(t, verdict.Valid, len(verdict.Errors) == 0)
			if !json.Valid(raw) {
				require.Equal(t, []string{" " + schemas.RuleInvalidJSON}, places(verdict.Errors))
			}
			for _, finding := range append(verdict.Errors, verdict.Drift...) {
				require.NotEmpty(t, finding.Rule)
				require.NotEmpty(t, finding.Detail)
				require.True(t, finding.Path == "" || finding.Path[0] == '/', finding.Path)
			}
			require.Equal(t, verdict, judge(v, raw)[i])
		}
		// A batch of one says what the event says.
		if json.Valid(raw) {
			batch := v.Batch([]byte(`{"events":[` + string(raw) + `]}`))
			require.Equal(t, v.Event(raw).Valid, batch.Valid)
			require.Len(t, batch.Drift, len(v.Event(raw).Drift))
		}
	})
}

// kilobyte is a valid event of about 1,000 bytes.
func kilobyte(t testing.TB) []byte {
	t.Helper()
	e := event(t, load(t), "users.messages.email.Open")
	doc := minimal(e)
	for section, fields := range sections(e) {
		for _, f := range fields {
			doc = with(doc, section, f.Name, right(f.Type))
		}
	}
	doc = with(doc, "properties", "user_agent", strings.Repeat("Mozilla ", 25))
	return marshal(t, doc)
}

// BenchmarkValidate judges an event, a hundred of them, and a message.
func BenchmarkValidate(b *testing.B) {
	event, v := kilobyte(b), validator()
	for name, run := range map[string]struct {
		judge  func([]byte) schemas.Verdict
		raw    []byte
		events int
	}{
		"event":   {v.Event, event, 1},
		"batch":   {v.Batch, []byte(`{"events":[` + strings.Repeat(string(event)+",", 99) + string(event) + `]}`), 100},
		"message": {v.Message, []byte(`{"type":"track","event":"E","userId":"u","properties":` + string(event) + `}`), 1},
	} {
		b.Run(name, func(b *testing.B) {
			require.True(b, run.judge(run.raw).Valid)
			b.SetBytes(int64(len(run.raw)))
			b.ReportAllocs()
			for b.Loop() {
				run.judge(run.raw)
			}
			b.ReportMetric(float64(b.N*run.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkNewValidator(b *testing.B) {
	for b.Loop() {
		if _, err := schemas.NewValidator(); err != nil {
			b.Fatal(err)
		}
	}
}
