package harness_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// exampleT stands where a test has its *testing.T.
type exampleT struct{ cleanups []func() }

func (t *exampleT) Helper()                           {}
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A bridge, a Braze and a RudderStack that the harness did not start, here in this
// process: the verdict comes from what RudderStack recorded, what Braze
// sent and what the bridge says of itself.
func ExampleJudge() {
	t := &exampleT{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var sent, received bytes.Buffer
	rudder := mockrudder.Start(t, mockrudder.WithRecording(&received))
	braze := mockbraze.Start(t, mockbraze.WithSeed(7))
	at, stop := startBridge(rudder.URL)
	defer stop()

	current := braze.Launch(mockbraze.Current{URL: at.Intake + "/currents", Token: "t"})
	if err := current.Send(ctx, 1020); err != nil {
		fmt.Println(err)
		return
	}
	for {
		ledger, err := harness.ReadLedger(ctx, at.Admin, "default")
		if err != nil {
			fmt.Println(err)
			return
		}
		if ledger.Pending == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := mockbraze.Emit(ctx, &sent, mockbraze.Emission{Events: 1020, Seed: 7}); err != nil {
		fmt.Println(err)
		return
	}
	report, err := harness.Judge(ctx, harness.Outside{
		Sent: &sent, Counts: current.Report().Counts, Received: &received, Admin: at.Admin,
		Losses: []harness.Loss{}, // nothing was killed, and no answer was lost
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict, "acknowledged", report.Acked, "lost", report.Lost, "duplicates", report.Duplicates)
	// Output: pass acknowledged 1020 lost 0 duplicates 0
}

// startBridge runs a bridge until it is stopped.
func startBridge(rudderURL string) (at bridge.Addresses, stop func()) {
	dir, err := os.MkdirTemp("", "currentsbridge-example-")
	if err != nil {
		panic(err)
	}
	connector := config.DefaultConnector()
	connector.Name, connector.Tokens, connector.RudderURL, connector.WriteKey = "default", []string{"t"}, rudderURL, "wkHTTP"
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	cfg.Connectors = []config.Connector{connector}
	ready, ended := make(chan bridge.Addresses, 1), make(chan error, 1)
	b, err := bridge.New(cfg, bridge.Options{Ready: func(a bridge.Addresses) { ready <- a }})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- b.Run(ctx) }()
	select {
	case at = <-ready:
	case err := <-ended:
		panic(err)
	}
	return at, func() {
		cancel()
		<-ended
		_ = os.RemoveAll(dir)
	}
}
