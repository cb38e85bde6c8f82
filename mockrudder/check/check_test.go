package check

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func collect(t *testing.T, in io.Reader) (items []string, err error) {
	t.Helper()
	err = Each(in, func(item Item) error {
		require.Equal(t, len(items)+1, item.Number)
		items = append(items, strings.TrimSpace(fmt.Sprintf("%d %s %s", item.Line, item.Raw, item.Envelope)))
		return nil
	})
	return items, err
}

func TestEachTakesEveryShape(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":         {"", nil},
		"blank":           {" \n\n\t", nil},
		"one":             {`{"a":1}`, []string{`1 {"a":1}`}},
		"NDJSON":          {"{\"a\":1}\n{\"b\":[{}]}\r\n\n{}", []string{`1 {"a":1}`, `2 {"b":[{}]}`, `4 {}`}},
		"no newline":      {`{"a":1}{"b":2} 5 "x"[6]`, []string{`1 {"a":1}`, `1 {"b":2}`, `1 5`, `1 "x"`, `1 6`}},
		"scalars":         {"1\n\"a\\\"b\"\nnull\n", []string{`1 1`, `2 "a\"b"`, `3 null`}},
		"array":           {"[\n{\"a\":1},\n2,\n[3]\n]", []string{`2 {"a":1}`, `3 2`, `4 [3]`}},
		"empty array":     {"[ ]", nil},
		"events":          {"{\"events\":[\n{\"a\":1},{}]}", []string{`2 {"a":1} events`, `2 {} events`}},
		"batch":           {`{"batch" : [ {"a":1} , 5 ]}`, []string{`1 {"a":1} batch`, `1 5 batch`}},
		"batch, more":     {`{"sentAt":"x","batch":[{"a":1}],"y":{"z":[1]}}`, []string{`1 {"a":1} batch`}},
		"escaped":         {`{"\u0065vents":[{}]}`, []string{`1 {} events`}},
		"batches":         {"{\"events\":[{\"a\":1}]}\n{\"events\":[{\"b\":1}]}\n", []string{`1 {"a":1} events`, `2 {"b":1} events`}},
		"array of bodies": {`[{"events":[{}]},{"batch":[1]}]`, []string{`1 {} events`, `1 1 batch`}},
		"empty body":      {`{"events":[]}`, nil},
		"events no array": {`{"events":5}`, []string{`1 {"events":5}`}},
		"pretty":          {"{\n  \"a\": {\n    \"b\": \"}\\\\\"\n  },\n  \"c\": [ 1, 2 ]\n}\n{}", []string{"1 {\"a\":{\n    \"b\": \"}\\\\\"\n  },\"c\":[ 1, 2 ]}", "7 {}"}},
		"byte-order mark": {"\xef\xbb\xbf{}", []string{`1 {}`}},
		"nested events":   {`{"a":{"events":[{}]}}`, []string{`1 {"a":{"events":[{}]}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, in := range map[string]io.Reader{
				"whole": strings.NewReader(c.in), "byte by byte": iotest.OneByteReader(strings.NewReader(c.in)), "gzip": gzipped(t, c.in),
			} {
				got, err := collect(t, in)
				require.NoError(t, err, kind)
				require.Equal(t, c.want, got, kind)
			}
		})
	}
}

func gzipped(t *testing.T, text string) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &buf
}

func TestEachSaysWhereItIsBroken(t *testing.T) {
	for in, want := range map[string]string{
		"{}\n{\"a\":\n":              "line 3: the JSON is cut off",
		"{}\n{\"a\" 1}":              "line 2: this is not JSON",
		"{}\n\n{\"a\":1,}":           "line 3: this is not JSON",
		"hello":                      "line 1: this is not JSON",
		"]":                          "line 1: this is not JSON",
		"[{},\n5 6]":                 "line 2: this is not JSON",
		"[{}":                        "line 1: the JSON is cut off",
		`{"events":[{}`:              "line 1: the JSON is cut off",
		`{"events":[{}]`:             "line 1: the JSON is cut off",
		"{\"events\":[\n{\"a\":x}]}": "line 2: this is not JSON",
		`{a:1}`:                      "line 1: this is not JSON",
		`{"a":,"b":1}`:               "line 1: this is not JSON",
		`{,}`:                        "line 1: this is not JSON",
		`{"a`:                        "line 1: the JSON is cut off",
		`"a\`:                        "line 1: the JSON is cut off",
		`{"a":[1}`:                   "line 1: the JSON is cut off",
		`{"a":[1}]}`:                 "line 1: this is not JSON",
	} {
		_, err := collect(t, strings.NewReader(in))
		require.EqualError(t, err, want, "%q", in)
		var at *ReadError
		require.True(t, errors.As(err, &at))
	}
	cut := gzipped(t, strings.Repeat("{}\n", 1000)).(*bytes.Buffer).Bytes()
	_, err := collect(t, bytes.NewReader(cut[:len(cut)-9]))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = collect(t, bytes.NewReader([]byte{0x1f, 0x8b, 0}))
	require.ErrorContains(t, err, "gzip")
	_, err = collect(t, io.MultiReader(strings.NewReader("{}"), iotest.ErrReader(errors.New("disk on fire"))))
	require.EqualError(t, err, "disk on fire")
}

func TestEachIsBounded(t *testing.T) {
	const most = 1000
	count := 0
	visit := func(Item) error { count++; return nil }
	fits := `{"a":"` + strings.Repeat("x", most-20) + `"}`
	require.NoError(t, each(strings.NewReader(strings.Repeat(fits, 50)), most, visit))
	require.NoError(t, each(strings.NewReader(`{"events":[`+fits+","+fits+`]}`), most, visit))
	require.Equal(t, 52, count)
	for _, long := range []string{`{"a":"`, `{"`, `[[`, `5`, `{"events":["`} {
		require.ErrorIs(t, each(strings.NewReader(long+strings.Repeat("5", 2*most)), most, visit), errTooLong, long)
	}
}

func FuzzEach(f *testing.F) {
	for _, in := range []string{`{"events":[{"a":1}]}`, "[1,{}]\n{}", `{"a":"\"}"}`, `{"b`, `{"batch":[],"x":[[]]}`} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		err := Each(strings.NewReader(in), func(item Item) error {
			require.True(t, json.Valid(item.Raw), "%q", item.Raw)
			return nil
		})
		if json.Valid([]byte(in)) {
			require.NoError(t, err)
		}
	})
}

const (
	goodBraze  = `{"event_type":"users.behaviors.app.SessionStart","id":"b-1","time":1700000000,"user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s"}}`
	badBraze   = `{"event_type":"users.behaviors.app.SessionStart","id":"b-2","time":"soon","user":{"user_id":"u"},"properties":{"app_id":"a","session_id":"s","brand_new":1}}`
	goodRudder = `{"type":"track","event":"E","userId":"u","messageId":"r-1"}`
	badRudder  = `{"type":"track","event":"E","userId":"u","messageId":"r-2","properties":5}`
)

func run(t *testing.T, as As, format, in string) (out string, s Summary) {
	t.Helper()
	var buf bytes.Buffer
	report, err := NewReporter(format, &buf)
	require.NoError(t, err)
	c, err := New(as, report)
	require.NoError(t, err)
	require.NoError(t, c.Stream("in", strings.NewReader(in)))
	s, err = c.Close()
	require.NoError(t, err)
	return buf.String(), s
}

func TestTextReport(t *testing.T) {
	out, s := run(t, Auto, "text", strings.Join([]string{goodBraze, badBraze, goodRudder, badRudder, badBraze}, "\n"))
	require.Equal(t, Summary{Events: 5, Valid: 2, Invalid: 3, Drift: 2}, s)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 5)
	require.Regexp(t, `^in:2: users\.behaviors\.app\.SessionStart id=b-2: /time: type: .+`, lines[0])
	require.Regexp(t, `^in:4: track E id=r-2: /properties: type: .+`, lines[1])
	require.Regexp(t, `^in:5: `, lines[2])
	require.Equal(t, "drift: users.behaviors.app.SessionStart: /properties/brand_new: unknown_field: 2 events, the first at in:2", lines[3])
	require.Equal(t, "5 events: 2 valid, 3 invalid; 2 with fields or types that the glossary does not know", lines[4])

	out, s = run(t, Auto, "text", "[5]")
	require.Equal(t, 1, s.Invalid)
	require.Contains(t, out, "in:1: (no type): (the event): type: ")
}

func TestJSONReport(t *testing.T) {
	out, _ := run(t, Auto, "json", badBraze+badRudder+goodRudder)
	var report struct {
		Findings []struct {
			File, As, Type, ID string
			Line, Number       int
			Errors             []struct{ Path, Rule, Detail string }
		}
		Drift   []struct{ Type, Path, Rule, First string }
		Summary Summary
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report), out)
	require.Len(t, report.Findings, 2)
	require.Equal(t, "b-2", report.Findings[0].ID)
	require.Equal(t, "/time", report.Findings[0].Errors[0].Path)
	require.Equal(t, "rudder", report.Findings[1].As)
	require.Equal(t, "/properties/brand_new", report.Drift[0].Path)
	require.Equal(t, Summary{Events: 3, Valid: 1, Invalid: 2, Drift: 1}, report.Summary)

	out, _ = run(t, Auto, "json", goodRudder)
	require.JSONEq(t, `{"findings":[],"drift":[],"drift_not_listed":0,"unread":[],"summary":{"events":1,"valid":1,"invalid":0,"drift":0}}`, out)
}

func TestJUnitReport(t *testing.T) {
	out, _ := run(t, Auto, "junit", strings.Join([]string{goodBraze, badBraze, goodRudder}, "\n"))
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Class   string `xml:"classname,attr"`
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out), &suite))
	require.Equal(t, 2, suite.Tests)
	require.Equal(t, 1, suite.Failures)
	require.Equal(t, "users.behaviors.app.SessionStart", suite.Cases[0].Name)
	require.Equal(t, "1 of 2 events are invalid", suite.Cases[0].Failure.Message)
	require.Contains(t, suite.Cases[0].Failure.Text, "in:2: users.behaviors.app.SessionStart id=b-2: /time: type: ")
	require.Equal(t, "track E", suite.Cases[1].Name)
	require.Nil(t, suite.Cases[1].Failure)
}

func TestReportsAreBounded(t *testing.T) {
	var in strings.Builder
	for i := range maxGroups + 5 {
		fmt.Fprintf(&in, `{"type":"track","event":"E%d","userId":"u","properties":5}`+"\n", i)
	}
	out, _ := run(t, Rudder, "junit", in.String())
	require.Equal(t, maxGroups+1, strings.Count(out, "<testcase "))
	require.Contains(t, out, `name="(other types)"`)
	require.Contains(t, out, "5 of 5 events are invalid")

	in.Reset()
	for i := range maxGroups + 5 {
		fmt.Fprintf(&in, `{"event_type":"new%d","id":"i","time":1,"user":{},"properties":{}}`+"\n", i)
	}
	out, s := run(t, Braze, "text", in.String())
	require.Equal(t, maxGroups+5, s.Valid)
	require.Contains(t, out, "drift: and 5 more\n")
}

func TestAs(t *testing.T) {
	for _, c := range []struct {
		as    As
		in    string
		valid bool
	}{
		{Auto, goodBraze, true},
		{Auto, goodRudder, true},
		{Auto, `{"events":[` + goodBraze + `]}`, true},
		{Auto, `{"batch":[` + goodRudder + `]}`, true},
		{Auto, `{"events":[` + goodRudder + `]}`, false},
		{Auto, `{"batch":[` + goodBraze + `]}`, false},
		{Auto, `{"id":"i"}`, false},
		{Braze, goodRudder, false},
		{Rudder, goodBraze, false},
		{Rudder, `[` + goodRudder + `]`, true},
	} {
		_, s := run(t, c.as, "text", c.in)
		require.Equal(t, c.valid, s.Valid == 1, "%s %s", c.as, c.in)
	}
	_, err := New("xml", nil)
	require.ErrorContains(t, err, "--as must be auto, braze or rudder")
	_, err = NewReporter("xml", nil)
	require.ErrorContains(t, err, "--format must be text, json or junit")
}
