package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// TestNothingFromOutsideSteersTheTerminal: events come from strangers, and
// answers from whatever stands before RudderStack.
func TestNothingFromOutsideSteersTheTerminal(t *testing.T) {
	const hostile = "é 👩‍🚀 \x1b[2J \u009b31m \u007f \u202e"
	const shown = `é 👩‍🚀 \u001b[2J \u009b31m \u007f \u202e`
	letter := admin.Letter{
		Connector:  "a",
		DeadLetter: queue.DeadLetter{Number: 1, DiedAt: time.Unix(0, 0), Reason: "refused", Status: 400, Answer: hostile},
		Event:      []byte(`{"id":"` + hostile + `"}`),
	}
	letter.EventID = hostile
	var list, one, status bytes.Buffer
	printLetters(&list, admin.Letters{Dead: []admin.Letter{letter}})
	require.Contains(t, list.String(), shown)
	require.NotContains(t, list.String(), `{"id"`, "an event has personal data")
	printLetter(&one, letter)
	require.Contains(t, one.String(), `{"id":"`+shown+`"}`)
	require.Contains(t, one.String(), "answer:      400 "+shown+"\n")
	printStatus(&status, admin.Status{Connectors: []admin.ConnectorStatus{
		{Name: "a", Destination: admin.Destination{State: "paused", LastError: hostile}},
	}})
	require.Contains(t, status.String(), "a: "+shown+"\n")
}
