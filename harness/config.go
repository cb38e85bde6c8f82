package harness

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// Mode is how the bridge hands events to RudderStack.
type Mode string

// The two ways into RudderStack.
const (
	ModeEvents  Mode = "events"  // finished messages to /v1/batch
	ModeWebhook Mode = "webhook" // Braze's own batches to /v1/webhook
)

// Config says what a run does. The zero value is a run of 20,000 events as fast
// as they go, in events mode and without faults.
type Config struct {
	Events int    // how many to send, over all types in turn; default 20,000
	Seed   uint64 // the same seed, the same events; default 1
	Mode   Mode   // default ModeEvents
	// Rate is events a second; 0 is as fast as the bridge accepts them.
	Rate   float64
	Faults Faults // default FaultsNone
	// Crashes is how often the bridge is killed where Faults says that it is;
	// default 5.
	Crashes int
	// Queue is the bridge's queue setting: sqlite, or the URL of a PostgreSQL
	// database, postgres://…, that holds no queue yet: the events of another run
	// have the same ids. What the run leaves there stays. Default: sqlite.
	Queue string
	Break Break // spoils the run on purpose; default nothing
	// MissingExternalUserID is the bridge's setting of that name: deliver, dead
	// or drop; default deliver.
	MissingExternalUserID string

	// Bridge is the path of the bridge's program; default: beside the running program.
	Bridge string
	// Dir keeps the bridge's data, configuration and log, and is left there;
	// default: a temporary directory that is removed.
	Dir string
	// Progress is where lines about the run's progress go; nil: nowhere.
	Progress io.Writer
	// Standstill ends a run, which then fails, when nothing was acknowledged or
	// delivered for so long; default a minute.
	Standstill time.Duration
	// Rudder, where given, is middleware around the fake RudderStack's handler, so
	// that a test can make it fail. Its responses count as RudderStack's.
	Rudder func(http.Handler) http.Handler
}

const (
	concurrency = 4 // of the bridge's requests
	brazeToken  = "harness-braze-token"
	connector   = "default"
)

func (c Config) withDefaults() (Config, error) {
	c.Events = cmp.Or(c.Events, 20_000)
	c.Seed = cmp.Or(c.Seed, 1)
	c.Mode = cmp.Or(c.Mode, ModeEvents)
	c.Faults = cmp.Or(c.Faults, FaultsNone)
	c.Queue = cmp.Or(c.Queue, "sqlite")
	c.Crashes = cmp.Or(c.Crashes, 5)
	c.MissingExternalUserID = cmp.Or(c.MissingExternalUserID, "deliver")
	c.Standstill = cmp.Or(c.Standstill, time.Minute)
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	if c.Rudder == nil {
		c.Rudder = func(h http.Handler) http.Handler { return h }
	}
	return c, c.check()
}

func (c Config) check() error {
	var wrong []error
	for i, value := range []float64{float64(c.Events), c.Rate, float64(c.Crashes)} {
		if value < 0 {
			wrong = append(wrong, fmt.Errorf("%s: %v is negative", []string{"events", "rate", "crashes"}[i], value))
		}
	}
	for _, is := range [][3]string{
		{"mode", string(c.Mode), "events, webhook"},
		{"faults", string(c.Faults), "none, network, crash, all"},
		{"break", string(c.Break), "lose, corrupt, duplicate"},
		{"missing-external-user-id", c.MissingExternalUserID, "deliver, dead, drop"},
	} {
		if is[1] != "" && !slices.Contains(strings.Split(is[2], ", "), is[1]) {
			wrong = append(wrong, fmt.Errorf("%s: %q is none of %s", is[0], is[1], is[2]))
		}
	}
	return errors.Join(wrong...)
}

func (c Config) crashes() int {
	if c.Faults.crash() {
		return c.Crashes
	}
	return 0
}

// perPost is how many events the bridge may put into one request: a fortieth
// of the run, so that there are enough requests for every fault.
func (c Config) perPost() int { return min(500, max(20, c.Events/40)) }

func (c Config) rules() oracle.Rules {
	fates := map[string]oracle.Fate{"deliver": oracle.Deliver, "dead": oracle.Dead, "drop": oracle.Filtered}
	return oracle.Rules{Webhook: c.Mode == ModeWebhook, MissingExternalUserID: fates[c.MissingExternalUserID]}
}

// writeKey is that of the source which takes what the bridge sends.
func (m Mode) writeKey() string {
	if m == ModeWebhook {
		return "wkBraze"
	}
	return "wkHTTP"
}

// bridgeSettings are the bridge's settings for this run. Text is quoted as JSON does
// it, which YAML reads too. The limits are small, so that faults pass quickly and a small
// run has many requests; the timeout is long enough for a slow machine, since a response
// after it counts as lost. After ack_wait a bridge on PostgreSQL has again what it held
// when it was killed.
func (c Config) bridgeSettings(rudder string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "grace: 5s\nqueue: {url: %q, ack_wait: 2s}\n", c.Queue)
	fmt.Fprintf(&out, "connectors:\n  - name: %q\n    token: %q\n    mode: %q\n    rudder_url: %q\n    write_key: %q\n",
		connector, brazeToken, c.Mode, rudder, c.Mode.writeKey())
	fmt.Fprintf(&out, "    missing_external_user_id: %q\n    concurrency: %d\n    batch_events: %d\n    timeout: 5s\n",
		c.MissingExternalUserID, concurrency, c.perPost())
	out.WriteString("    backoff: {min: 20ms, max: 500ms}\n")
	return out.String()
}
