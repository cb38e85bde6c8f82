package schemas

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/openapitest"
	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

var soak = flag.Bool("soak", false, "a hundred times as many mutations")

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

// judges are what this package and a library say of a kind of documents.
type judges struct {
	one, list func([]byte) Verdict
	begin     string // of a list of them
	library   func(document []byte) error
}

func judgesOf(t testing.TB, v *Validator) map[string]judges {
	t.Helper()
	library := func(name string) func([]byte) error {
		raw, ok := Schema(name)
		require.True(t, ok)
		return openapitest.Schema(t, raw)
	}
	return map[string]judges{
		"events":   {v.Event, v.Batch, `{"events":[`, library("braze/batch")},
		"messages": {v.Message, v.MessageBatch, `{"batch":[`, library("rudder/batch")},
	}
}

// agree holds the verdicts on a document, alone and in a list, against each
// other and against the library, and says whether it is valid. The schema of a
// list has those of all types in it.
func (j judges) agree(t testing.TB, raw []byte) (valid bool) {
	t.Helper()
	list := []byte(j.begin + string(raw) + "]}")
	one, many := j.one(raw), j.list(list)
	require.Equal(t, one.Valid, len(one.Errors) == 0, "%q", raw)
	if !json.Valid(raw) {
		require.Equal(t, RuleInvalidJSON, one.Errors[0].Rule, "%q", raw)
		return false
	}
	require.Len(t, many.Errors, len(one.Errors), "%q", raw)
	require.Len(t, many.Drift, len(one.Drift), "%q", raw)
	require.Equal(t, j.library(list) == nil, many.Valid, "%q: %v", raw, many.Errors)
	return one.Valid
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
			for key, value := range x.Members(n) {
				keys = append(keys, key)
				visit(value)
			}
		case bytecheck.Array:
			for _, item := range x.Items(n) {
				visit(item)
			}
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

// Mutations of every event, which has a schema of its own, and of messages, of
// which hundreds share one. -soak has more.
func TestVerdictsAgreeWithALibrary(t *testing.T) {
	v, err := agreeing()
	require.NoError(t, err)
	for kind, times := range map[string]int{"events": 10, "messages": 10} {
		if *soak {
			times *= 100
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m, judges, valid, all := newMutator(1), judgesOf(t, v)[kind], 0, 0
			texts := fixtureTexts(t, kind)
			texts["alias"] = []byte(`{"type":"alias","userId":"u","previousId":"p","timestamp":"2026-01-31T09:30:00Z","context":{"traits":{},"device":null}}`)
			texts["group"] = []byte(`{"type":"group","groupId":"g","anonymousId":" ","userId":5,"sentAt":null}`)
			texts["unknown"] = []byte(`{"event_type":"users.messages.pigeon.Send","id":"1","time":1,"user":{"x":1},"properties":null}`)
			for _, name := range slices.Sorted(maps.Keys(texts)) {
				judges.agree(t, texts[name])
				for range times {
					if judges.agree(t, m.mutate(texts[name])) {
						valid++
					}
					all++
				}
			}
			// The mutations are worth something on both sides only.
			require.Greater(t, valid, all/10)
			require.Less(t, valid, all*9/10)
		})
	}
}

func FuzzVerdictsAgree(f *testing.F) {
	for _, kind := range []string{"events", "messages", "odd"} {
		for _, raw := range fixtureTexts(f, kind) {
			f.Add(raw, uint64(0))
			f.Add(raw, uint64(1))
		}
	}
	for _, text := range newMutator(0).pool {
		f.Add([]byte(`{"type":"track","event":"e","userId":`+text+`,"timestamp":`+text+`}`), uint64(2))
	}
	v, err := agreeing()
	require.NoError(f, err)
	judges := judgesOf(f, v)
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		if seed > 0 { // with more shape than a fuzzer finds by itself
			raw = newMutator(seed).mutate(raw)
		}
		judges["events"].agree(t, raw)
		judges["messages"].agree(t, raw)
	})
}
