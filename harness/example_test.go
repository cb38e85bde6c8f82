package harness_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// Five hundred events through all three, with nothing going wrong.
func ExampleRun() {
	program, err := harness.BuildBridge() // a program of your own: the path of bin/bridge
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := harness.Run(context.Background(), harness.Config{Events: 500, Bridge: program})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict, "sent", report.Sent, "lost", report.Lost, "dead", report.Dead)
	// Output: pass sent 500 lost 0 dead 5
}

// What a Braze, a bridge and a RudderStack that the harness did not start have left
// behind: of two events one is nowhere, though the bridge says that it delivered both.
func ExampleJudge() {
	ctx := context.Background()
	bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"connectors":[{"name":"default","received":2,"accepted":2,"delivered":2}]}`)
	}))
	defer bridge.Close()
	ledger, err := harness.ReadLedger(ctx, bridge.URL, "default")
	if err != nil || ledger.Check() != nil || ledger.Pending > 0 {
		fmt.Println("the run is not over:", err)
		return
	}
	report, err := harness.Judge(ctx, harness.Outside{
		Mode: harness.ModeWebhook, Admin: bridge.URL, Counts: mockbraze.Counts{Events: 2, Sent: 2},
		Sent: strings.NewReader(`{"event_type":"t","id":"e1","user":{"user_id":"u"}}
			{"event_type":"t","id":"e2","user":{"user_id":"u"}}`),
		Received: strings.NewReader(`{"raw":"{\"event_type\":\"t\",\"id\":\"e1\",\"user\":{\"user_id\":\"u\"}}","message":{},
			"received_at":"2024-01-02T03:04:05Z","valid":true}`),
		Losses: []harness.Loss{}, // nothing was killed, and no answer was lost
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict, "acknowledged", report.Acked, "lost", report.Lost, "duplicates", report.Duplicates)
	fmt.Println(report.Failures[0])
	// Output:
	// fail acknowledged 2 lost 1 duplicates 0
	// lost: 1 acknowledged and neither delivered, filtered nor dead, such as e2 (t)
}
