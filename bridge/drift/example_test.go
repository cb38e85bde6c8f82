package drift_test

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/currentsbridge/currentsbridge/bridge/drift"
)

func ExampleWatch() {
	watch, err := drift.New(drift.Config{
		Log: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
		Registerer: prometheus.NewRegistry(),
		Now:        func() time.Time { return time.Unix(1700000000, 0).UTC() },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range []string{`{"event_type":"users.messages.pigeon.Send","id":"1"}`, `{"event_type":"users.messages.pigeon.Send","id":"2"}`} {
		for range 2 { // an event that is mapped again counts once
			if watch.Begin([]byte(event)) {
				watch.Count([]byte("users.messages.pigeon.Send"), nil)
			}
		}
	}
	watch.Redacted(drift.RedactedFields()[0])
	for _, item := range watch.List() {
		fmt.Printf("%s %q %d\n", item.EventType, item.Field, item.Count)
	}
	fmt.Println("beyond", drift.MaxItems, "names:", drift.Other)
	// Output:
	// level=INFO msg="Braze sends an event type that the glossary does not have; it is delivered" event_type=users.messages.pigeon.Send
	// users.messages.pigeon.Send "" 2
	// beyond 200 names: (other)
}
