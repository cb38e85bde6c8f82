package schemas

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

var agreeing = sync.OnceValues(NewValidator)

// fixtureTexts are the checked-in documents of a kind, by file name.
func fixtureTexts(t testing.TB, kind string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../fixtures/" + kind + "/*.json")
	require.NoError(t, err)
	require.Greater(t, len(paths), 20)
	out := map[string][]byte{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		out[filepath.Base(path)] = raw
	}
	return out
}

// agreeOnEvent holds what the walk over the bytes says against what
// gojsonschema says of the decoded event, verdict and drift.
func agreeOnEvent(t testing.TB, v *Validator, raw []byte) (valid bool) {
	t.Helper()
	var x bytecheck.Index
	want := v.decodeEvent(raw)
	if ok := x.Read(raw); !agreeOnJSON(t, want, raw, ok) {
		return false
	}
	var walked Verdict
	walked.Type, walked.Valid = v.walkEvent(&x, 0, spot{}, &walked)
	require.Equal(t, want.Valid, walked.Valid, "%q: %v", raw, want.Errors)
	if want.Valid {
		require.Equal(t, want, walked, "%q", raw)
	} else {
		require.Empty(t, walked.Drift, "%q", raw)
	}
	return want.Valid
}

func agreeOnMessage(t testing.TB, v *Validator, raw []byte) (valid bool) {
	t.Helper()
	var x bytecheck.Index
	want := v.decodeMessage(raw)
	if ok := x.Read(raw); !agreeOnJSON(t, want, raw, ok) {
		return false
	}
	name, valid := v.walkMessage(&x, 0)
	require.Equal(t, want.Valid, valid, "%q: %v", raw, want.Errors)
	if valid {
		require.Equal(t, want.Type, name)
	}
	return valid
}

func agreeOnJSON(t testing.TB, want Verdict, raw []byte, ok bool) bool {
	t.Helper()
	invalid := len(want.Errors) == 1 && want.Errors[0].Rule == RuleInvalidJSON
	require.Equal(t, !invalid, ok, "%q is JSON", raw)
	return ok
}

// agreeInBatches holds the calls themselves against each other.
func agreeInBatches(t testing.TB, v *Validator, raw []byte) {
	t.Helper()
	require.Equal(t, v.decodeEvent(raw), v.Event(raw), "%q", raw)
	require.Equal(t, v.decodeMessage(raw), v.Message(raw), "%q", raw)
	for _, body := range []string{
		string(raw), `{"events":[` + string(raw) + `],"sent_at":[1]}`, `{"events":5,"\u0065vents":[` + string(raw) + `,{},` + string(raw) + `]}`,
		`{"batch":[` + string(raw) + `]}`, `{"batch":[` + string(raw) + `,5,` + string(raw) + `],"sentAt":1}`,
	} {
		require.Equal(t, v.decodeBatch([]byte(body)), v.Batch([]byte(body)), "%q", body)
		require.Equal(t, v.decodeMessageBatch([]byte(body)), v.MessageBatch([]byte(body)), "%q", body)
	}
}

// mutator makes documents that are nearly what they were.
type mutator struct {
	*rand.Rand
	pool []string // values to put in
}

func newMutator(seed uint64) *mutator {
	return &mutator{rand.New(rand.NewPCG(seed, 7)), []string{
		`null`, `true`, `false`, `0`, `-0`, `7`, `1.0`, `1.5`, `1e2`, `15e-1`, `1e400`, `1e-400`, `1e999999`, `9007199254740993`, `123456789012345678901234567890`,
		strings.Repeat("7", 1100) + ".5", `""`, `" "`, `"x"`, `"\u0000"`, `"\ud800"`, `"\ud83d\ude00"`, `"\u00a0"`, "\"\xff\"", "\"\u3000\"", `"a\/b"`,
		`"2026-01-31T09:30:00Z"`, `"2026-01-31T09:30:00.000Z"`, `"2026-02-30T09:30:00Z"`, `"2026-01-31"`, `"2026-01-31T09:30:00,0Z"`, `"track"`, `"\u0074rack"`, `"page"`, `"users.messages.email.Open"`, `"pigeon"`,
		`{}`, `[]`, `["x"]`, `[1]`, `["x",null]`, `{"a":1}`, `{"user_id":"u"}`, `{"new":{"er":[1]}}`, `[[[[]]]]`, strings.Repeat("[", 300) + strings.Repeat("]", 300),
	}}
}

// nodes lists every value and key of a document.
func nodes(x *bytecheck.Index) (values, keys []bytecheck.Node) {
	var visit func(n bytecheck.Node)
	visit = func(n bytecheck.Node) {
		values = append(values, n)
		switch x.Kind(n) {
		case bytecheck.Object:
			x.Members(n, func(key, value bytecheck.Node) bool {
				keys = append(keys, key)
				visit(value)
				return true
			})
		case bytecheck.Array:
			x.Items(n, func(_ int, item bytecheck.Node) { visit(item) })
		}
	}
	visit(0)
	return values, keys
}

func pick[T any](m *mutator, from []T) T { return from[m.IntN(len(from))] }

// mutate changes a document once, and what came of that again, now and then.
func (m *mutator) mutate(raw []byte) []byte {
	for {
		if m.IntN(4) == 0 {
			raw = m.bytes(raw)
		} else {
			raw = m.structure(raw)
		}
		if m.IntN(3) > 0 {
			return raw
		}
	}
}

// structure changes a value, a name, or what an object holds. What is no JSON
// any more stays as it is.
func (m *mutator) structure(raw []byte) []byte {
	var x bytecheck.Index
	if !x.Read(raw) {
		return raw
	}
	values, keys := nodes(&x)
	at := func(n bytecheck.Node) (start, end int) {
		part := x.Raw(n)
		start = cap(raw) - cap(part) // it is a part of raw
		return start, start + len(part)
	}
	value := func() string {
		if m.IntN(3) == 0 {
			return string(x.Raw(pick(m, values)))
		}
		return pick(m, m.pool)
	}
	if len(keys) == 0 || m.IntN(5) < 2 {
		start, end := at(pick(m, values))
		return splice(raw, start, end, value())
	}
	key := pick(m, keys)
	start, end := at(key)
	_, valueEnd := at(key + 1)
	name := string(x.Raw(key))
	switch m.IntN(5) {
	case 0: // away; the comma goes with it where there is one
		for valueEnd < len(raw) && strings.IndexByte(", \n", raw[valueEnd]) >= 0 {
			valueEnd++
		}
		if valueEnd < len(raw) && raw[valueEnd] == '}' {
			return splice(raw, start, valueEnd, `"last":0`)
		}
		return splice(raw, start, valueEnd, "")
	case 1: // once more, before
		return splice(raw, start, start, name+":"+value()+",")
	case 2: // once more, behind
		return splice(raw, valueEnd, valueEnd, ","+m.spell(name)+":"+value())
	case 3: // another name, or the same one spelt otherwise
		return splice(raw, start, end, m.spell(name))
	}
	return splice(raw, start, end, string(x.Raw(pick(m, keys))))
}

// spell writes a quoted name with an escape, or changes it.
func (m *mutator) spell(name string) string {
	if len(name) < 3 {
		return `"x"`
	}
	i := 1 + m.IntN(len(name)-2)
	switch c := name[i]; {
	case c == '\\' || c == 'u' || c >= 0x80:
		return name
	case m.IntN(3) > 0:
		return fmt.Sprintf(`%s\u%04x%s`, name[:i], c, name[i+1:])
	}
	return name[:i] + "~/" + name[i:]
}

func splice(raw []byte, start, end int, with string) []byte {
	return slices.Concat(raw[:start], []byte(with), raw[end:])
}

// bytes changes the text without regard to what it means.
func (m *mutator) bytes(raw []byte) []byte {
	if len(raw) == 0 {
		return []byte(pick(m, m.pool))
	}
	at := m.IntN(len(raw))
	const odd = "\x00\x1f \"\\\\{}[]:,0-.eEu/\x7f\x80\xc3\xed\xff\t\n"
	with := string(odd[m.IntN(len(odd))])
	switch m.IntN(5) {
	case 0:
		return splice(raw, at, at, with)
	case 1:
		return splice(raw, at, at+1, "")
	case 2:
		return splice(raw, at, min(len(raw), at+1+m.IntN(8)), string(raw[m.IntN(len(raw)):][:1]))
	case 3:
		return raw[:at:at]
	}
	return splice(raw, at, at+1, with)
}

// Some hundred mutations of every event, which has a schema of its own, and as
// many thousand messages for each of theirs. MUTATIONS sets another number.
func TestWalkAgreesWithGojsonschema(t *testing.T) {
	v, err := agreeing()
	require.NoError(t, err)
	for kind, times := range map[string]int{"events": 300, "messages": 100} {
		if testing.Short() {
			times /= 10
		}
		if n, err := strconv.Atoi(os.Getenv("MUTATIONS")); err == nil {
			times = n
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m, valid, all := newMutator(1), 0, 0
			texts := fixtureTexts(t, kind)
			texts["single calls"] = []byte(`{"type":"alias","userId":"u","previousId":"p","timestamp":"2026-01-31T09:30:00Z","context":{"traits":{},"device":null}}`)
			texts["group"] = []byte(`{"type":"group","groupId":"g","anonymousId":" ","userId":5,"sentAt":null}`)
			texts["unknown"] = []byte(`{"event_type":"users.messages.pigeon.Send","id":"1","time":1,"user":{"x":1},"properties":null}`)
			for _, name := range slices.Sorted(maps.Keys(texts)) {
				raw := texts[name]
				agreeInBatches(t, v, raw)
				for i := range times {
					mutated := m.mutate(raw)
					if kind == "events" && agreeOnEvent(t, v, mutated) || kind == "messages" && agreeOnMessage(t, v, mutated) {
						valid++
					}
					if all++; i%100 == 0 {
						agreeInBatches(t, v, mutated)
					}
				}
			}
			// The mutations are worth something on both sides only.
			require.Greater(t, valid, all/10)
			require.Less(t, valid, all*9/10)
		})
	}
}

func FuzzCheckerAgrees(f *testing.F) {
	for _, kind := range []string{"events", "messages", "odd"} {
		for _, raw := range fixtureTexts(f, kind) {
			f.Add(raw, uint64(0))
			f.Add(raw, uint64(1))
		}
	}
	for _, text := range newMutator(0).pool {
		f.Add([]byte(text), uint64(0))
		f.Add([]byte(`{"type":"track","event":"e","userId":`+text+`,"timestamp":`+text+`}`), uint64(2))
	}
	v, err := agreeing()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		agreeOnEvent(t, v, raw)
		agreeOnMessage(t, v, raw)
		if seed > 0 { // with more shape than a fuzzer finds by itself
			mutated := newMutator(seed).mutate(raw)
			agreeOnEvent(t, v, mutated)
			agreeOnMessage(t, v, mutated)
			agreeInBatches(t, v, mutated)
		}
	})
}
