package harness_test

import (
	"context"
	"fmt"

	"github.com/currentsbridge/currentsbridge/harness"
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
