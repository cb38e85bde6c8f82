package harness_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// exampleT stands where a test has its *testing.T.
type exampleT struct{ cleanups []func() }

func (t *exampleT) Helper()                           {}
func (t *exampleT) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (t *exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A bridge, a Braze and a RudderStack that the harness did not start, here on this
// machine: the verdict comes from what RudderStack recorded, what Braze
// sent and what the bridge says of itself.
func ExampleJudge() {
	t := &exampleT{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var sent, received bytes.Buffer
	rudder := mockrudder.Start(t, mockrudder.WithRecording(&received))
	braze := mockbraze.Start(t, mockbraze.WithSeed(7))
	bridge, err := startBridge(ctx, rudder.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bridge.Kill()

	current := braze.Launch(mockbraze.Current{URL: bridge.Intake + "/currents", Token: "t"})
	if err := current.Send(ctx, 1020); err != nil {
		fmt.Println(err)
		return
	}
	for {
		ledger, err := harness.ReadLedger(ctx, bridge.Admin, "default")
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
		Sent: &sent, Counts: current.Report().Counts, Received: &received, Admin: bridge.Admin,
		Losses: []harness.Loss{}, // nothing was killed, and no answer was lost
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict, "acknowledged", report.Acked, "lost", report.Lost, "duplicates", report.Duplicates)
	// Output: pass acknowledged 1020 lost 0 duplicates 0
}

// startBridge runs a bridge and waits until it is ready.
func startBridge(ctx context.Context, rudderURL string) (*bridgeproc.Process, error) {
	program, err := harness.BuildBridge()
	if err != nil {
		return nil, err
	}
	bridge, err := bridgeproc.Start(program, os.DevNull, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--data-dir", program+"-data", "--braze-token", "t", "--rudder-url", rudderURL, "--write-key", "wkHTTP")
	if err != nil {
		return nil, err
	}
	return bridge, bridge.AwaitReady(ctx)
}
