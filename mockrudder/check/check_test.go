package check

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

// collect returns the items of a stream, a line each: line number, text or error,
// envelope and wrapper.
func collect(t *testing.T, in io.Reader) (items []string, lines Lines, err error) {
	lines, err = Each(in, func(item Item) error {
		require.Equal(t, len(items)+1, item.Number)
		text := string(item.Raw)
		if item.Broken != nil {
			text = item.Broken.Error()
		}
		items = append(items, strings.Join(strings.Fields(fmt.Sprintf("%d %s %s %s", item.Line, text, item.Envelope, item.Wrapper)), " "))
		return nil
	})
	return items, lines, err
}

func TestEachTakesEveryShape(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/shapes.txt", 2) {
		text := row[0]
		for kind, in := range map[string]io.Reader{
			"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "gzip": gzipped(t, text),
		} {
			got, lines, err := collect(t, in)
			require.NoError(t, err, kind)
			require.Equal(t, row[1], strings.Join(got, " | "), "%s: %s", kind, text)
			require.Equal(t, lines.Total, lines.Read)
			require.Equal(t, strings.Count(strings.TrimSuffix(text, "\n")+"\n", "\n"), lines.Total)
		}
	}
}

func gzipped(t *testing.T, text string) io.Reader {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &buf
}

// A torn line is reported once, and the following lines are read.
func TestEachGoesOnBehindATornLine(t *testing.T) {
	const body = `{"events":[{"a":1},{"b":{"c":"x"}}]}`
	whole := []string{`{"a":1} events`, `{"b":{"c":"x"}} events`}
	for cut := 1; cut < len(body); cut++ {
		for name, in := range map[string]string{
			"between": body + "\n" + body[:cut] + "\n" + body + "\n" + body + "\n",
			"before":  body[:cut] + "\n" + body,
			"last":    body + "\n" + body[:cut],
			"head":    body + "\n" + body[cut:] + "\n" + body + "\n",
			"glued":   body + "\n" + body[:cut] + body + "\n" + body + "\n",
		} {
			got, lines, err := collect(t, strings.NewReader(in))
			require.NoError(t, err, in)
			torn := 2 // the line
			if name == "before" {
				torn = 1
			}
			var others, broken []string
			for _, item := range got {
				if at, rest, _ := strings.Cut(item, " "); at != fmt.Sprint(torn) {
					others = append(others, rest)
				} else if strings.Contains(rest, "JSON") {
					broken = append(broken, rest)
				}
			}
			want := strings.Count(in, "\n") - 1
			if name == "before" || name == "last" {
				want = 1
			}
			require.Len(t, others, want*len(whole), "%s: %q gives %q", name, in, got)
			require.Equal(t, whole, others[:2])
			require.NotEmpty(t, broken, "%s: %q gives %q", name, in, got)
			require.Equal(t, lines.Total-1, lines.Read, in)
		}
	}
}

func TestEachSaysWhereItIsBroken(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/broken.txt", 2) {
		got, _, err := collect(t, strings.NewReader(row[0]))
		require.NoError(t, err)
		require.Equal(t, row[1], strings.Join(got, ", "), "%q", row[0])
	}
	for in, want := range map[string]string{"": errEmpty.Error(), " \n\n\t": errEmpty.Error(), "\xef\xbb\xbf": errEmpty.Error(),
		"\xff\xfe{\x00}\x00": errUTF16.Error(), "\xfe\xff\x00{\x00}": errUTF16.Error(), "{\x00}\x00": errUTF16.Error()} {
		_, _, err := collect(t, strings.NewReader(in))
		require.EqualError(t, err, want, "%q", in)
	}
	cut := gzipped(t, strings.Repeat("{}\n", 1000)).(*bytes.Buffer).Bytes()
	_, _, err := collect(t, bytes.NewReader(cut[:len(cut)-9]))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, _, err = collect(t, bytes.NewReader([]byte{0x1f, 0x8b, 0}))
	require.ErrorContains(t, err, "gzip")
	_, _, err = collect(t, io.MultiReader(strings.NewReader("{}"), iotest.ErrReader(errors.New("disk on fire"))))
	require.EqualError(t, err, "disk on fire")
	_, _, err = collect(t, strings.NewReader(strings.Repeat("[\n", 1<<15)))
	require.ErrorContains(t, err, "too much behind this is not JSON")
}

func TestEachIsBounded(t *testing.T) {
	const most = 1000
	count := 0
	visit := func(Item) error { count++; return nil }
	fits := `{"a":"` + strings.Repeat("x", most-20) + `"}`
	for _, in := range []string{strings.Repeat(fits, 50), `[` + fits + "," + fits + `]`} {
		_, err := each(strings.NewReader(in), most, visit)
		require.NoError(t, err)
	}
	require.Equal(t, 52, count)
	for _, long := range []string{`{"a":"`, `{"`, `[[`, `5`, `{"events":["`, `{"events":[` + fits + "," + fits + `,"`} {
		_, err := each(strings.NewReader(long+strings.Repeat("5", 2*most)), most, visit)
		require.ErrorIs(t, err, errTooLong, long)
	}
}

func FuzzEach(f *testing.F) {
	for _, in := range []string{`{"events":[{"a":1}]}`, "[1,{}]\n{}", `{"a":"\"}"}`, `{"b`, `{"batch":[],"x":[[]]}`} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		broken := 0
		_, err := Each(strings.NewReader(in), func(item Item) error {
			if item.Broken != nil {
				broken++
			} else {
				require.True(t, json.Valid(item.Raw), "%q", item.Raw)
			}
			return nil
		})
		if json.Valid([]byte(in)) {
			require.NoError(t, err)
			require.Zero(t, broken)
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
	var buf bytes.Buffer
	c, err := New(as, format, &buf)
	require.NoError(t, err)
	require.NoError(t, c.Stream("in", strings.NewReader(in)))
	s, err = c.Close()
	require.NoError(t, err)
	return buf.String(), s
}

// All formats have the same counts. testdata has the reports.
func TestReports(t *testing.T) {
	in := strings.Join([]string{goodBraze, badBraze, goodRudder, badRudder, badBraze, "{"}, "\n")
	for _, format := range []string{"text", "json", "junit"} {
		out, s := run(t, Auto, format, in)
		require.Equal(t, Summary{Events: 6, Valid: 2, Invalid: 4, Drift: 2, Lines: Lines{6, 5}}, s)
		require.Equal(t, casefile.Text(t, "testdata/report."+format), out)
	}
	out, _ := run(t, Auto, "json", goodRudder)
	require.JSONEq(t, `{"findings":[],"drift":[],"drift_not_listed":0,"unread":[],"summary":{"events":1,"valid":1,"invalid":0,"drift":0,"unplanned":0,"wrapped":0,"lines":{"total":1,"read":1}}}`, out)
	out, _ = run(t, Auto, "text", "[5]")
	require.Contains(t, out, "in:1: (no type): (the event): type: ")
}

func TestReportsAreBounded(t *testing.T) {
	out, _ := run(t, Rudder, "junit", strings.Repeat(badRudder+"\n", maxGroups+5))
	require.Equal(t, maxGroups, strings.Count(out, "<failure "))
	require.Contains(t, out, "1005 events, 1005 of them invalid")

	var in strings.Builder
	for i := range maxGroups + 5 {
		fmt.Fprintf(&in, `{"event_type":"new%d","id":"i","time":1,"user":{},"properties":{}}`+"\n", i)
	}
	out, _ = run(t, Braze, "junit", in.String())
	require.Equal(t, maxGroups+1, strings.Count(out, "<testcase "))
	require.Contains(t, out, `name="(other types)"`)
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
	_, err := New("xml", "text", nil)
	require.ErrorContains(t, err, "--as must be auto, braze or rudder")
	_, err = New(Auto, "xml", nil)
	require.ErrorContains(t, err, "--format must be text, json or junit")
}

// Records that are no events are recognised.
func TestOtherRecords(t *testing.T) {
	out, s := run(t, Auto, "text", `{"id":"a","time":1700000000,"user_id":"b","external_user_id":"u","app_id":"x"}`)
	require.Equal(t, 1, s.Invalid)
	require.Contains(t, out, "in:1: (no type) id=a: (the event): storage_record: this is a record of Currents' storage export")
	wrapped, err := json.Marshal(map[string]string{"body": `{"events":[` + goodBraze + "," + badBraze + `]}`})
	require.NoError(t, err)
	out, s = run(t, Auto, "text", string(wrapped))
	require.Equal(t, Summary{Events: 2, Valid: 1, Invalid: 1, Drift: 1, Wrapped: 2, Lines: Lines{1, 1}}, s)
	require.Contains(t, out, "; 2 stood in log records; read 1 of 1 lines")
}

// The tracking plan validates messages, and Braze events as the messages that they
// become, without the properties that RudderStack's source moves elsewhere.
func TestPlan(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{
		"Order Placed":              []byte(`{"required":["total"],"properties":{"total":{"type":"number"}}}`),
		"users.messages.email.Open": []byte(`{"properties":{"email_address":false,"send_id":{"type":"string","maxLength":3}}}`),
	})
	require.NoError(t, err)
	const open = `{"event_type":"users.messages.email.Open","id":"e","time":1700000000,"user":{"user_id":"u","external_user_id":"x"},` +
		`"properties":{"dispatch_id":"d","email_address":"a@b.c","send_id":"%"}}`
	in := `{"type":"track","event":"Order Placed","userId":"u","properties":{"total":"5"}}
{"type":"track","event":"Order Placed","userId":"u","properties":{"total":5}}
{"type":"track","event":"Other","userId":"u"}
` + strings.ReplaceAll(open, "%", "abc") + "\n" + strings.ReplaceAll(open, "%", "abcd") + "\n"

	var out strings.Builder
	checker, err := New(Auto, "text", &out)
	require.NoError(t, err)
	checker.Plan = p
	require.NoError(t, checker.Stream("in", strings.NewReader(in)))
	summary, err := checker.Close()
	require.NoError(t, err)
	require.Equal(t, Summary{Events: 5, Valid: 3, Invalid: 2, Unplanned: 1, Lines: Lines{5, 5}}, summary)
	require.Contains(t, out.String(), `in:1: track Order Placed: /properties/total: type: tracking plan: expected number, got string "5"`)
	require.Contains(t, out.String(), `in:5: users.messages.email.Open id=e: /properties/send_id: maxLength: tracking plan: `)
	require.Contains(t, out.String(), `unplanned: track Other: /event: unplanned: 1 events, the first at in:3`)
	require.NotContains(t, out.String(), "email_address")
}

// Avro files of every event type, one of them cut off, and flat records as JSON, one of
// them without its type.
func TestStorageExports(t *testing.T) {
	dir := t.TempDir()
	w := storageexport.NewWriter(dir, journeytest.Glossary(t))
	require.NoError(t, mockbraze.Emit(t.Context(), w, mockbraze.Emission{Events: 102, Seed: 2}))
	require.NoError(t, w.Close())

	var out bytes.Buffer
	c, err := New(Auto, "text", &out)
	require.NoError(t, err)
	cut := false
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text := casefile.Text(t, path)
		if !cut {
			cut = true
			require.ErrorContains(t, c.Stream(path, strings.NewReader(text[:len(text)-1])), "cut off")
		}
		return c.Stream(path, strings.NewReader(text))
	}))
	flat := `{"id":"a","time":1700000000,"user_id":"u","external_user_id":"x","app_group_id":"g","campaign_id":"c","dispatch_id":"d","email_address":"e@example.com"}`
	require.NoError(t, c.Stream("x/event_type=users.messages.email.Open/part.json", strings.NewReader(flat)))
	require.NoError(t, c.Stream("in", strings.NewReader(flat)))
	s, err := c.Close()
	require.NoError(t, err)
	require.Equal(t, map[storageexport.Form]int{storageexport.Avro: 102, storageexport.JSON: 1}, s.Exported)
	require.Equal(t, 104, s.Events)
	require.Contains(t, out.String(), "in:1: (no type) id=a: (the event): storage_record: this is a record of Currents' storage export")
	require.Contains(t, out.String(), "say it with --as-type")
	require.Contains(t, out.String(), "; 102 taken for records of a storage export (Avro); 1 taken for records of a storage export (JSON); read 2 of 2 lines")
	require.Equal(t, 103, s.Valid, out.String())
}
