package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// kill is one way to end the bridge: at a point, or at a moment.
type kill struct {
	point string        // empty: at the moment
	pass  int           // of the point
	after time.Duration // the moment, from the start of the process
	stop  bool          // SIGTERM is sent first, and the moment counts from then
	tries int           // how often the point was not reached
}

// passes is the highest pass of a point at which the bridge is killed. It is low
// where few batches lead there, so that every run reaches it soon.
func passes(point string) int {
	switch group, _, _ := strings.Cut(point, "."); group {
	case "start":
		return len(connectors())
	case "stop", "dead", "checkpoint", "prune":
		return 1
	}
	if point == "delivery.between-halves" {
		return 2
	}
	return 40
}

// plan returns the kills of a run in a random order: every point at least once,
// and as many at random moments as at points where there are enough. A moment is
// usually soon, start included, and at times while the bridge stops.
func plan(n int, rng *rand.Rand) []kill {
	points := crashpoint.Points()
	kills := make([]kill, n)
	for i := range kills {
		switch {
		case i < max(n/2, len(points)):
			point := points[i%len(points)]
			kills[i] = kill{point: point, pass: 1 + rng.IntN(passes(point)), stop: strings.HasPrefix(point, "stop.")}
		case rng.IntN(8) == 0:
			kills[i] = kill{stop: true, after: time.Duration(rng.Int64N(int64(30 * time.Millisecond)))}
		default:
			kills[i] = kill{after: time.Duration(rng.Int64N(int64(700 * time.Millisecond)))}
		}
	}
	rng.Shuffle(n, func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	return kills
}

// name is what the report calls it.
func (k kill) name() string {
	switch {
	case k.point != "":
		return k.point
	case k.stop:
		return "random moment of stopping"
	}
	return "random moment"
}

// armed is what crashpoint.Env is set to; empty for a moment.
func (k kill) armed() string {
	if k.point == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", k.point, k.pass)
}
