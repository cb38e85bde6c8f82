//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness"
)

// fault is something that went wrong on purpose.
type fault struct {
	What string `json:"what"`
	// Recovery is the time in seconds from its end until Braze had nothing
	// queued and the bridge nothing pending.
	Recovery float64 `json:"recovery_s"`
}

// result is what the report says of a scenario.
type result struct {
	Name           string         `json:"name"`
	Faults         []fault        `json:"faults"`
	DuplicateBound int64          `json:"duplicate_bound"`
	Run            harness.Report `json:"run"`
}

// document is the report of all scenarios.
type document struct {
	Scenarios []result `json:"scenarios"`
}

// write prints the line of a scenario, and puts its figures into the file that
// E2E_REPORT names, in place of older ones of the same name.
func (s *scenario) write(r harness.Report) {
	s.t.Helper()
	s.say("%s", line(r, s.faults))
	path := os.Getenv("E2E_REPORT")
	if path == "" {
		return
	}
	var all document
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(s.t, err, "E2E_REPORT")
	}
	all.Scenarios = slices.DeleteFunc(all.Scenarios, func(old result) bool { return old.Name == s.name })
	all.Scenarios = append(all.Scenarios, result{s.name, s.faults, r.DuplicateBound, r})
	text, err = json.MarshalIndent(all, "", "  ")
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(path, append(text, '\n'), 0o644))
}

func line(r harness.Report, faults []fault) string {
	var recoveries []string
	for _, f := range faults {
		recoveries = append(recoveries, fmt.Sprintf("%s %.1f s", f.What, f.Recovery))
	}
	return fmt.Sprintf("%s: %d acknowledged, %d lost, %d changed, %d duplicates of %d that may be, %d dead; recovery: %s",
		strings.ToUpper(r.Verdict), r.Acked, r.Lost, r.Corrupted, r.Duplicates, r.DuplicateBound, r.Dead, strings.Join(recoveries, ", "))
}
