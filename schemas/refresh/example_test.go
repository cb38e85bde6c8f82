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
		panic(err)
	}
	g := must(schemas.Load())
	sources := must(refresh.Read(dir))
	report := refresh.Compare(g, sources)
	fmt.Println("the same:", report.Same, report.Files[refresh.Page], report.Files[refresh.Sample])
	fmt.Println(report.Differences[0].Change == refresh.TypeAdded, report.Differences[0].After)
	next, report, err := refresh.Refresh(g, sources, refresh.Options{SchemaVersion: 13, Date: "2026-12-02"})
	fmt.Println(next.Version(), "undecided:", len(report.Undecided), err)
	fmt.Println(report.WriteText(os.Stdout))
	// Output:
	// the same: false 1 0
	// true 2 fields
	// schema version 13 (2026-12-02), 103 current event types undecided: 0 <nil>
	// type added       users.messages.fax.Send: 2 fields  (fax.md:3)
	// 1 difference from schema version 12 (2026-09-02), 102 current event types; 1 event type in 1 page, 0 samples
	// <nil>
}

// must is for examples: a program handles the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
