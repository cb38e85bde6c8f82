package refresh_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/currentsbridge/currentsbridge/schemas"
	"github.com/currentsbridge/currentsbridge/schemas/refresh"
)

// A page of Braze's documentation has an event type that the glossary does not
// have; the refreshed glossary has it.
func Example() {
	dir := must(os.MkdirTemp("", "braze-docs"))
	defer os.RemoveAll(dir)
	page := "{% tab Custom HTTP Connector %}\n```json\n// users.messages.fax.Send\n" + `{
  "user": {"user_id": "(required, string) [PII] Braze's id of the user"},
  "properties": {"pages": "(optional, int) How many"}
}` + "\n```\n{% endtab %}\n"
	if err := os.WriteFile(filepath.Join(dir, "fax.md"), []byte(page), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	g := must(schemas.Load())
	sources := must(refresh.Read(dir, g))
	report := refresh.Compare(g, sources)
	fmt.Println("the same:", report.Same, report.Files[refresh.Page] == 1, report.Files[refresh.Sample]+report.Files[refresh.Avro])
	for _, d := range report.Differences {
		fmt.Println(d.Change == refresh.TypeAdded, d.EventType, d.After, d.Source)
	}
	next, report, err := refresh.Refresh(g, sources, refresh.Options{SchemaVersion: 13, Date: "2026-12-02"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(next.Version(), "undecided:", len(report.Undecided))
	if err := report.WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// the same: false true 0
	// true users.messages.fax.Send 2 fields fax.md:3
	// schema version 13 (2026-12-02), 103 current event types undecided: 0
	// type added       users.messages.fax.Send: 2 fields  (fax.md:3)
	// 1 difference from schema version 12 (2026-09-02), 102 current event types; 1 event type in 1 page, 0 samples, 0 Avro files
}

// must is for examples: a program handles the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
