package jetstream

import (
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

const (
	defaultPrefix   = "currents"
	defaultAckWait  = 10 * time.Second
	minAckWait      = time.Second
	defaultRepeats  = 2 * time.Minute
	defaultInFlight = 1000
	clusterReplicas = 3
	maxReplicas     = 5
	// minPayload is the least max_payload of a server that is of use: what is
	// known of a batch, or of a dead letter, takes some kilobytes beside it.
	minPayload = 64 << 10
	// patience bounds how long a call goes on trying while the servers do not
	// answer. It is well below what a sender waits for an answer.
	patience = 10 * time.Second
	// upkeepEvery is the time between two looks at what can be given up.
	upkeepEvery = time.Second
)

// prefixes end in no _, so that no connector's stream is called as the reserve
// of another prefix.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9_-]*[A-Za-z0-9-]$`)

// withDefaults fills in what is not set and refuses what cannot be meant.
func (o Options) withDefaults() (Options, error) {
	if o.URL == "" {
		return o, fmt.Errorf("no URL of a NATS server: set it to nats://HOST:PORT")
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if !prefixes.MatchString(o.Prefix) {
		return o, fmt.Errorf("prefix %q: use letters, digits, - and _, and no _ at its end", o.Prefix)
	}
	if o.Replicas < 0 || o.Replicas > maxReplicas {
		return o, fmt.Errorf("%d replicas: a stream is kept 1 to %d times", o.Replicas, maxReplicas)
	}
	if o.AckWait == 0 {
		o.AckWait = defaultAckWait
	}
	if o.AckWait < minAckWait {
		return o, fmt.Errorf("ack wait %s: use %s or more, so that no bridge that is only slow is taken for dead", o.AckWait, minAckWait)
	}
	if o.Repeats == 0 {
		o.Repeats = defaultRepeats
	}
	if o.Repeats < 3*patience {
		return o, fmt.Errorf("duplicate window %s: use %s or more; within it a batch whose acknowledgement got lost is sent again", o.Repeats, 3*patience)
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.every <= 0 {
		o.every = upkeepEvery
	}
	if o.patience <= 0 {
		o.patience = patience
	}
	o.RetainAge, o.RetainBytes, o.MaxBytes = max(o.RetainAge, 0), max(o.RetainBytes, 0), max(o.MaxBytes, 0)
	return o, nil
}
