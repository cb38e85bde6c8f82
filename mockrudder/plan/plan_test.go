package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

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
	for message, want := range map[string]string{
		`{"type":"track","event":"Order Placed","properties":{"total":5,"x":1}}`:           "true",
		` {"event":"Order Placed","type":"track"}`:                                         "false /properties/total required",
		`{"type":"track","event":"Order Placed","properties":null}`:                        "false /properties/total required",
		`{"type":"track","event":"Order Placed","properties":{"total":-1}}`:                "false /properties/total minimum",
		`{"type":"track","event":"Order Placed","properties":7}`:                           "false /properties type",
		`{"type":"track","event":"Order Placed","properties":{"total":1},"properties":{}}`: "false /properties/total required",
		`{"type":"track","event":"Strict","properties":{"a":1}}`:                           "true",
		`{"type":"track","event":"Strict","properties":{"b":1}}`:                           "false /properties pattern",
		`{"type":"track","event":"order placed"}`:                                          "true drift /event",
		`{"type":"track"}`:                           "true drift /event",
		`{"type":"identify","event":"Order Placed"}`: "true",
		`[]`: "true",
		``:   "true",
	} {
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
