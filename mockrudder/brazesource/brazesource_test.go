package brazesource

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

const limit = 4_096_000

// Every recorded case of RudderStack's own transformation, and those of
// testdata/cases.jsonl, which are not recorded.
func TestCases(t *testing.T) {
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(t, err)
	require.Len(t, cases, 114)
	for line := range strings.Lines(casefile.Text(t, "testdata/cases.jsonl")) {
		var c fixtures.BrazeSourceCase
		require.NoError(t, json.Unmarshal([]byte(line), &c))
		cases = append(cases, c)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			mapper := New()
			if setting, ok := c.Config["customMapping"]; ok {
				mapper, err = WithCustomMapping(setting)
				require.NoError(t, err)
			}
			result, err := mapper.Transform(c.Body, limit)
			if c.Want.Status != 0 {
				var refused *Error
				require.True(t, errors.As(err, &refused), "%v", err)
				require.Equal(t, Error{c.Want.Status, c.Want.Error}, *refused)
				return
			}
			require.NoError(t, err)
			require.Len(t, result.Messages, len(c.Want.Messages))
			for i, want := range c.Want.Messages {
				require.JSONEq(t, string(want), result.Messages[i].JSON)
				require.True(t, json.Valid([]byte(result.Messages[i].Raw)))
			}
		})
	}
}

// testdata/unusual.jsonl has cases that are not recorded. A JavaScript engine made
// the messages that it wants, so that the order of keys and the format of numbers
// count too; "" is an event that is dropped. testdata/paths.jsonl has random keys
// with dots and backslashes; its messages were made with a plain walk along each path.
func TestUnusualEvents(t *testing.T) {
	for _, file := range []string{"testdata/unusual.jsonl", "testdata/paths.jsonl"} {
		for line := range strings.SplitSeq(strings.TrimSpace(casefile.Text(t, file)), "\n") {
			var c struct{ Event, Want string }
			require.NoError(t, json.Unmarshal([]byte(line), &c))
			t.Run(c.Event, func(t *testing.T) {
				require.Equal(t, c.Want, transformOne(t, New(), c.Event))
			})
		}
	}
}

// transformOne returns the message made of one event, "" for none.
func transformOne(t *testing.T, m *Mapper, event string) string {
	result, err := m.Transform(`{"events":[`+event+`]}`, limit)
	if errors.Is(err, errAllFailed) {
		return ""
	}
	require.NoError(t, err)
	require.False(t, result.TooLarge)
	require.Len(t, result.Messages, 1)
	require.Equal(t, event, result.Messages[0].Raw)
	return result.Messages[0].JSON
}

func TestCustomMappingThatIsNoJSON(t *testing.T) {
	_, err := WithCustomMapping([]byte(`{`))
	require.Error(t, err)
}

// On the way to the transformer each invalid byte becomes a U+FFFD.
func TestInvalidUTF8(t *testing.T) {
	got := transformOne(t, New(), "{\"event_type\":\"t\",\"user\":{\"user_id\":\"a\"},\"properties\":{\"k\xff\xfe\":\"\xe2\x82x\"}}")
	require.Contains(t, got, "{\"k\ufffd\ufffd\":\"\ufffd\ufffdx\"}")
}

// A huge index makes a message too large without building the array.
func TestHugeIndices(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, properties := range []string{
		`{"900000":1}`, `{"1e9":1}`, `{"4294967294":1}`, `{"a.4294967294":1,"b.4294967294":1}`, `{"0":1,"length":4294967295}`,
		`{"a":{"x":1},"a.900000":1,"b.c.d.0xfffffff":2}`,
	} {
		body := fmt.Sprintf(`{"events":[{"event_type":"t","id":"i","user":{"user_id":"u"},"properties":%s},`+
			`{"event_type":"t","user":{"user_id":"v"},"properties":{"x":1}}]}`, properties)
		result, err := New().Transform(body, limit)
		require.NoError(t, err)
		require.True(t, result.TooLarge, properties)
		require.Len(t, result.Messages, 2)
		require.Contains(t, result.Messages[0].JSON, `"anonymousId":"u"`)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20))

	result, err := New().Transform(`{"events":[{"event_type":"t","user":{"user_id":"u"},"properties":{"800000":1}}]}`, limit)
	require.NoError(t, err)
	require.False(t, result.TooLarge)
	require.Greater(t, len(result.Messages[0].JSON), 4_000_000)
}

// A body of many events, each too large, takes little time.
func TestManyHugeEvents(t *testing.T) {
	const event = `{"event_type":"t","user":{"user_id":"u"},"properties":{"800000":1}}`
	result, err := New().Transform(`{"events":[`+strings.Repeat(event+",", 5_000)+event+`]}`, limit)
	require.NoError(t, err)
	require.True(t, result.TooLarge)
	require.Len(t, result.Messages, 5_001)
}

// Paths that put an object into itself double it each time: the result must be
// TooLarge, not endless work.
func TestDoublingObject(t *testing.T) {
	path, properties := "a", &strings.Builder{}
	inner := `{"k\\l":1}`
	for range 40 {
		inner = `{"k\\l":` + inner + `}`
	}
	fmt.Fprintf(properties, `{"a":%s`, inner)
	for range 40 { // reads "k\l", writes "kl": the same object twice
		fmt.Fprintf(properties, `,"%s.k\\l":0`, path)
		path += ".kl"
	}
	properties.WriteString("}")
	result, err := New().Transform(`{"events":[{"event_type":"t","user":{"user_id":"u"},"properties":`+properties.String()+`}]}`, limit)
	require.NoError(t, err)
	require.True(t, result.TooLarge)
}

func FuzzTransform(f *testing.F) {
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(f, err)
	for _, c := range cases {
		f.Add(c.Body, string(c.Config["customMapping"]))
	}
	f.Add(`{"events":[{"event_type":"t","user":{"user_id":"u"},"properties":{"a.length":5,"a":[],"toString.x":1,"1e9":0}}]}`, `[{"from":"t","to":"T"}]`)
	f.Fuzz(func(t *testing.T, body, mapping string) {
		const small = 100_000
		m, err := WithCustomMapping([]byte(mapping))
		if err != nil {
			m = New()
		}
		result, err := m.Transform(body, small)
		var refused *Error
		if err != nil {
			require.True(t, errors.As(err, &refused))
			return
		}
		total := 0
		for _, message := range result.Messages {
			require.True(t, json.Valid([]byte(message.JSON)), "%s", message.JSON)
			require.True(t, json.Valid([]byte(message.Raw)))
			total += len(message.JSON)
		}
		if !result.TooLarge {
			require.LessOrEqual(t, total, small+1000)
		}
	})
}

// Functions that objects inherit belong to all transformations.
func TestTransformationsAtOnce(t *testing.T) {
	body := `{"events":[{"event_type":"E","user":{"user_id":"u"},"properties":{"toString.a.b":1,"push.c.d.e":2}}]}`
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 100 {
				got, err := New().Transform(body, 1000)
				require.NoError(t, err)
				require.Contains(t, got.Messages[0].JSON, `"properties":{"push":{"c":{"d":{"e":2}}}}`)
			}
		})
	}
}

// BenchmarkTransform transforms a request of an event of each type.
func BenchmarkTransform(b *testing.B) {
	files, err := filepath.Glob("../../fixtures/events/*.json")
	require.NoError(b, err)
	var events []string
	for _, file := range files[:80] {
		text := casefile.Text(b, file)
		events = append(events, text)
	}
	body := `{"events":[` + strings.Join(events, ",") + `]}`
	m := New()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Transform(body, limit); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*80/b.Elapsed().Seconds(), "events/s")
}

// dots is an event with a key of so many dots, and others beside it.
func dots(n int) (event *object, path string) {
	key := strings.Repeat(".", n) + "x"
	properties := &object{}
	for i := range 2 * smallObject { // enough for a map
		properties.set(fmt.Sprint("plain", i), value{json: "1"})
	}
	properties.set("with.dot", value{json: "2"})
	properties.set(key, value{json: "3"})
	event = &object{}
	event.set("properties", value{object: properties})
	return event, key
}

// A key may have nearly as many dots as an event has bytes. The work grows with their
// number and not with its square, as few keys are joined.
func TestManyDotsAreWalkedOnce(t *testing.T) {
	for _, n := range []int{10, 1000, 100_000} {
		event, path := dots(n)
		get := func(path string) value { return getPath(event, "properties", event.get("properties"), path) }
		require.Equal(t, "3", get(path).json)
		require.Less(t, testing.AllocsPerRun(1, func() { get(path) }), 20.0, "%d dots", n)
		require.Zero(t, get(path+".y"))
		escaped := strings.Repeat(`\.`, n)
		require.Less(t, testing.AllocsPerRun(1, func() { get(escaped) }), 100.0, "%d escaped dots", n)
	}
}
