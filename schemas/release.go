package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Release names the glossary that is built in without reading all of it:
// "schema version 12 (2026-09-02)". Version of a loaded Glossary says more.
func Release() string {
	raw, err := files.ReadFile("glossary.json")
	if err != nil {
		return "no glossary"
	}
	version, date := json.Number(""), ""
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for version == "" || date == "" { // the file begins with both
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch token {
		case "schema_version":
			err = decoder.Decode(&version)
		case "date":
			err = decoder.Decode(&date)
		}
		if err != nil {
			break
		}
	}
	return fmt.Sprintf("schema version %s (%s)", version, date)
}
