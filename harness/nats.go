package harness

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// takeOver is after how long the bridge has again what it held when it was
// killed. It is short, so that a run with crashes is.
const takeOver = 2 * time.Second

// onNATS tells whether the bridge keeps its queue on a NATS cluster.
func (c Config) onNATS() bool {
	return strings.HasPrefix(c.Queue, "nats://") || strings.HasPrefix(c.Queue, "tls://")
}

// streamPrefix makes the name that a run's streams begin with. A queue on NATS
// outlives a run, and the next run's events have the same ids.
func streamPrefix() string { return "harness-" + rand.Text()[:8] }

// queueSetting is the bridge's queue setting for a run.
func (c Config) queueSetting() string {
	if !c.onNATS() {
		return fmt.Sprintf("%q", c.Queue)
	}
	return fmt.Sprintf("{store: %q, prefix: %q, ack_wait: %q}", c.Queue, c.prefix, takeOver)
}

// removeStreams removes what a run has left on NATS.
func removeStreams(servers, prefix string) error {
	conn, err := nats.Connect(servers)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	list := js.StreamNames(ctx)
	var failed error
	for name := range list.Name() {
		if strings.HasPrefix(name, prefix+"_") {
			failed = errors.Join(failed, js.DeleteStream(ctx, name))
		}
	}
	return errors.Join(failed, list.Err())
}
