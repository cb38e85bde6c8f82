//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
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

// write prints the line of a scenario, and appends its figures to the file that
// E2E_REPORT names.
func (s *scenario) write(r harness.Report) {
	var recoveries []string
	for _, f := range s.faults {
		recoveries = append(recoveries, fmt.Sprintf("%s %.1f s", f.What, f.Recovery))
	}
	s.say("%s: %d acknowledged, %d lost, %d changed, %d duplicates of %d that may be, %d dead; recovery: %s",
		strings.ToUpper(r.Verdict), r.Acked, r.Lost, r.Corrupted, r.Duplicates, r.DuplicateBound, r.Dead,
		strings.Join(recoveries, ", "))
	path := os.Getenv("E2E_REPORT")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err, "E2E_REPORT")
	defer file.Close()
	require.NoError(s.t, json.NewEncoder(file).Encode(result{s.name, s.faults, r.DuplicateBound, r}))
}
