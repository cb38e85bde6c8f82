package schemas

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/openapitest"
)

var soak = flag.Bool("soak", false, "250 times as many mutations")

// fixtureTexts are the checked-in documents of a kind, by file name.
func fixtureTexts(t testing.TB, kind string) map[string][]byte {
	paths, err := filepath.Glob("../fixtures/" + kind + "/*.json")
	require.NoError(t, err)
	require.Greater(t, len(paths), 20)
	out := map[string][]byte{}
	for _, path := range paths {
		out[filepath.Base(path)] = []byte(casefile.Text(t, path))
	}
	return out
}

// validators are that of this package and a library, for one kind of documents.
type validators struct {
	ours     func([]byte) Verdict
	kind     string                        // of schemas
	unknown  *schema                       // of documents of other types
	compiled map[string]func([]byte) error // by the library, by type
}

func validatorsOf(t testing.TB) map[string]validators {
	g, err := Load()
	require.NoError(t, err)
	v, err := NewValidator()
	require.NoError(t, err)
	return map[string]validators{
		"events":   {v.Event, "braze", envelopeSchema(g, ""), map[string]func([]byte) error{}},
		"messages": {v.Message, "rudder", typedSchema(), map[string]func([]byte) error{}},
	}
}

// library validates a document by the schema of a type, as in its file, or by that of
// unknown types.
func (v validators) library(t testing.TB, typ string, document []byte) error {
	raw, known := Schema(v.kind + "/" + typ)
	if !known {
		typ = ""
		var err error
		raw, err = json.Marshal(v.unknown)
		require.NoError(t, err)
	}
	if v.compiled[typ] == nil {
		v.compiled[typ] = openapitest.Schema(t, raw)
	}
	return v.compiled[typ](document)
}

// agree compares both verdicts on a document, and returns whether it is valid.
func (v validators) agree(t testing.TB, raw []byte) (valid bool) {
	verdict := v.ours(raw)
	require.Equal(t, verdict.Valid, len(verdict.Errors) == 0, "%q", raw)
	require.Equal(t, verdict, v.ours(raw), "the same every time")
	for _, f := range append(verdict.Errors, verdict.Drift...) {
		require.NotEmpty(t, f.Rule)
		require.NotEmpty(t, f.Detail)
		require.True(t, f.Path == "" || f.Path[0] == '/', f.Path)
	}
	malformed := len(verdict.Errors) > 0 && verdict.Errors[0].Rule == RuleInvalidJSON
	require.Equal(t, json.Valid(raw), !malformed, "%q", raw)
	if malformed {
		return false
	}
	require.Equal(t, v.library(t, verdict.Type, raw) == nil, verdict.Valid, "%q: %v", raw, verdict.Errors)
	return verdict.Valid
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
		`100`, `1.25e1`, `120e-1`, `120e-2`, `10e-1`, `0e-5`, `0.0e9`, `5e-999999`, `"ä"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud800\u0041"`, "\"\xff\xfe\"", "\"\xc3\"", `"\t"`,
		`"09:30:00"`, `"2026-1-31T9:30:00Z"`, `"2026-01-31T24:00:00Z"`, `"2026-01-31T09:30:00+25:00"`, `"2026-01-31T09:30:00+0530"`, `{"a":1,"\u0061":"x"}`, ` [ 1 , null ] `,
		`{}`, `[]`, `["x"]`, `[1]`, `["x",null]`, `{"a":1}`, `{"user_id":"u"}`, `{"new":{"er":[1]}}`, `[[[[]]]]`, strings.Repeat("[", 300) + strings.Repeat("]", 300),
	}}
}

// scalarText finds the strings, numbers and words of a text; memberText those with a
// key before them.
var (
	scalarText = regexp.MustCompile(scalar)
	memberText = regexp.MustCompile(`("(?:[^"\\]|\\.)*")\s*:\s*` + scalar)
)

const scalar = `(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null)`

// mutate changes a document once, and what came of that again, now and then.
func (m *mutator) mutate(raw []byte) []byte {
	text := string(raw)
	for again := true; again; again = m.IntN(3) == 0 {
		found := scalarText.FindAllStringIndex(text, -1)
		if len(found) == 0 {
			text += m.value()
			continue
		}
		at := found[m.IntN(len(found))]
		before, old, after := text[:at[0]], text[at[0]:at[1]], text[at[1]:]
		switch m.IntN(6) {
		case 0:
			text = before + m.value() + after
		case 1: // what stands elsewhere
			other := found[m.IntN(len(found))]
			text = before + text[other[0]:other[1]] + after
		case 2: // spelt otherwise
			if c := old[1%len(old)]; old[0] == '"' && len(old) > 2 && c < 0x80 && c != '\\' {
				text = before + fmt.Sprintf(`"\u%04x`, c) + old[2:] + after
			}
		case 3: // a member once more
			if at := memberText.FindStringSubmatchIndex(after); at != nil {
				text = before + old + after[:at[1]] + "," + after[at[2]:at[3]] + ":" + m.value() + after[at[1]:]
			}
		case 4: // a member away
			if at := memberText.FindStringIndex(after); at != nil {
				text = before + old + after[:at[0]] + `"gone":0` + after[at[1]:]
			}
		case 5: // a byte
			const special = "\x00\x1f \"\\{}[]:,0-.eEu/\x7f\x80\xc3\xed\xff\t\n"
			i := m.IntN(len(text))
			text = text[:i] + special[m.IntN(len(special)):][:1] + text[i+m.IntN(2):]
		}
	}
	return []byte(text)
}

func (m *mutator) value() string { return m.pool[m.IntN(len(m.pool))] }

// Documents and mutations of them; -soak has more.
func TestVerdictsAgreeWithALibrary(t *testing.T) {
	times := 4
	if *soak {
		times = 1000
	}
	for _, kind := range []string{"events", "messages"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m, both, valid, all := newMutator(1), validatorsOf(t)[kind], 0, 0
			texts := fixtureTexts(t, kind)
			texts["alias"] = []byte(`{"type":"alias","userId":"u","previousId":"p","timestamp":"2026-01-31T09:30:00Z","context":{"traits":{},"device":null}}`)
			texts["group"] = []byte(`{"type":"group","groupId":"g","anonymousId":" ","userId":5,"sentAt":null}`)
			texts["unknown"] = []byte(`{"event_type":"users.messages.pigeon.Send","id":"1","time":1,"user":{"x":1},"properties":null}`)
			for _, name := range slices.Sorted(maps.Keys(texts)) {
				both.agree(t, texts[name])
				for range times {
					if both.agree(t, m.mutate(texts[name])) {
						valid++
					}
					all++
				}
			}
			// Both kinds are needed.
			require.Greater(t, valid, all/10)
			require.Less(t, valid, all*9/10)
		})
	}
}

func FuzzVerdictsAgree(f *testing.F) {
	for _, kind := range []string{"events", "messages", "requests"} {
		for _, raw := range fixtureTexts(f, kind) {
			f.Add(raw, uint64(0))
			f.Add(raw, uint64(1))
		}
	}
	for _, text := range newMutator(0).pool {
		f.Add([]byte(`{"type":"track","event":"e","userId":`+text+`,"timestamp":`+text+`}`), uint64(2))
	}
	both := validatorsOf(f)
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		if seed > 0 { // with more shape than a fuzzer finds by itself
			raw = newMutator(seed).mutate(raw)
		}
		both["events"].agree(t, raw)
		both["messages"].agree(t, raw)
	})
}

// What Encode writes is glossary.json itself, so that a refreshed glossary
// differs from it where Braze's facts do and nowhere else.
func TestEncodeWritesTheFile(t *testing.T) {
	g, err := Load()
	require.NoError(t, err)
	want, err := files.ReadFile("glossary.json")
	require.NoError(t, err)
	got, err := g.Encode()
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
