package currentstest_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
)

func ExampleEmailOpens() {
	body, events := currentstest.EmailOpens(100)
	fmt.Println(len(events), "events of", len(body)/len(events), "bytes")
	// Output:
	// 100 events of 987 bytes
}
