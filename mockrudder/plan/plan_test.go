package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/mockrudder/plan"
)

const orderSchema = `{"type":"object","required":["total"],"properties":{"total":{"type":"number","minimum":0}}}`

func ExamplePlan() {
	p, err := plan.New(map[string]json.RawMessage{
		"Order Placed": []byte(`{"type":"object","required":["total"],"properties":{"total":{"type":"number"}}}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, message := range []string{
		`{"type":"track","event":"Order Placed","properties":{"total":5}}`,
		`{"type":"track","event":"Order Placed","properties":{"total":"5"}}`,
		`{"type":"track","event":"Order Plaecd","properties":{"total":5}}`,
	} {
		verdict := p.Judge(message)
		fmt.Println(verdict.Valid, verdict.Errors, verdict.Drift)
	}
	// Output:
	// true [] []
	// false [{/properties/total type expected number, got string "5"}] []
	// true [] [{/event unplanned the tracking plan has no event "Order Plaecd"}]
}

func TestJudge(t *testing.T) {
	p, err := plan.New(map[string]json.RawMessage{"Order Placed": []byte(orderSchema), "Strict": []byte(`{"propertyNames":{"pattern":"^a"}}`)})
	require.NoError(t, err)
	for _, row := range casefile.Read(t, "testdata/messages.txt", 2) {
		message, want := row[0], row[1]
		verdict := p.Judge(message)
		got := fmt.Sprint(verdict.Valid)
		if len(verdict.Errors) > 0 {
			got += " " + verdict.Errors[0].Path + " " + verdict.Errors[0].Rule
		}
		if len(verdict.Drift) > 0 {
			got += " drift " + verdict.Drift[0].Path
		}
		require.Equal(t, want, got, message)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("plans/Order Placed.schema.json", orderSchema)
	write("plans/README.md", "")
	write("plans/.schema.json", "of no event")
	for _, path := range []string{write("plan.json", `{"Order Placed":`+orderSchema+`}`), filepath.Join(dir, "plans")} {
		p, err := plan.Read(path)
		require.NoError(t, err)
		require.False(t, p.Judge(`{"type":"track","event":"Order Placed"}`).Valid, path)
		require.Empty(t, p.Judge(`{"type":"track","event":"Order Placed","properties":{"total":1}}`).Drift)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"):                                "no such file",
		write("empty.json", `{}`):                                    "a tracking plan needs events",
		write("list.json", `[]`):                                     "tracking plan " + filepath.Join(dir, "list.json"),
		write("broken.json", `{"A":{"type":7},"B":{"type":"text"}}`): `event "A": `,
		filepath.Dir(write("none/x.json", "{}")):                     "no file is called NAME.schema.json",
	} {
		_, err := plan.Read(path)
		require.ErrorContains(t, err, want)
	}
	_, err := plan.Read(filepath.Join(dir, "broken.json"))
	require.ErrorContains(t, err, `event "B": `, "every mistake is named")
}

// Every draft is enforced, and no keyword is passed over.
func TestDrafts(t *testing.T) {
	compile := func(schema string) (*plan.Plan, error) {
		return plan.New(map[string]json.RawMessage{"E": json.RawMessage(schema)})
	}
	for _, row := range casefile.Read(t, "testdata/drafts.txt", 4) {
		p, err := compile(row[0])
		require.NoError(t, err, row[0])
		good := p.Judge(`{"type":"track","event":"E","properties":` + row[1] + `}`)
		require.True(t, good.Valid, "%s %v", row[0], good.Errors)
		bad := p.Judge(`{"type":"track","event":"E","properties":` + row[2] + `}`)
		require.False(t, bad.Valid, row[0])
		require.Contains(t, bad.Errors[0].Path+" "+bad.Errors[0].Rule, row[3])
		require.NotEmpty(t, bad.Errors[0].Detail)
	}
	for _, row := range casefile.Read(t, "testdata/refused.txt", 2) {
		_, err := compile(row[0])
		require.ErrorContains(t, err, row[1], row[0])
	}
}

// Formats are what their RFCs say.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ format, good, bad string }{
		{"date-time", "2026-01-31T09:30:00Z 2026-01-31t09:30:00.123z 2026-01-31T09:30:00+01:00", "2026-01-31 2026-01-31T09:30:00 09:30:00Z 2026-13-31T09:30:00Z"},
		{"uuid", "61763869-6114-4ab2-bdac-9ba13af24508 61763869-6114-4AB2-BDAC-9BA13AF24508", "61763869 61763869-6114-4ab2-bdac-9ba13af2450g"},
		{"email", "jane@example.com j.o+x@example.com", "Jane<jane@example.com> <jane@example.com> jane @example.com jäne@example.com"},
		{"uri", "https://example.com/a?b", "example.com/a"},
		{"ipv4", "1.2.3.4", "1.2.3.256"},
	} {
		p, err := plan.New(map[string]json.RawMessage{"E": json.RawMessage(`{"properties":{"a":{"format":"` + c.format + `"}}}`)})
		require.NoError(t, err)
		judge := func(value string) bool {
			return p.Judge(`{"type":"track","event":"E","properties":{"a":"` + value + `"}}`).Valid
		}
		for good := range strings.FieldsSeq(c.good) {
			require.True(t, judge(good), good)
		}
		for _, bad := range append(strings.Fields(c.bad), "Jane <jane@example.com>") {
			require.False(t, judge(bad), bad)
		}
	}
}
