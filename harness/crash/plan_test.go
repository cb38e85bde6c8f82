package crash

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
)

// strike is one way to end a life: at a point, or at a moment.
type strike struct {
	point string        // empty: at the moment
	count int           // the pass of the point at which it strikes
	after time.Duration // the moment, from the start of the process
	stop  bool          // the bridge is told to stop first, and the moment counts from then
	tries int           // how often the point was not reached
}

// Points in the stand-in for RudderStack: what the bridge has sent is there,
// and it does not know.
const (
	postArrived  = "post.arrived"  // before an answer leaves
	postAnswered = "post.answered" // once it has left
)

// points are all that must be reached.
func points() []string { return append(crashpoint.Points(), postArrived, postAnswered) }

// often is the highest pass of a point at which a life is to end: one that
// every life comes to soon, so it is low where few batches lead there.
func often(point string) int {
	kind, _, _ := strings.Cut(point, ".")
	switch {
	case kind == "start":
		return len(connectors())
	case kind == "stop", kind == "upkeep", kind == "dead", kind == "erase":
		return 1
	case kind == "replay", point == "settle.missed":
		return 3
	case kind == "history", point == "delivery.between-halves":
		return 3
	}
	return 40
}

// plan returns the strikes of a run in a random order: every point at least
// once, and as many at random moments as at points where there are enough.
func plan(kills int, rng *rand.Rand) []strike {
	all := points()
	named := max(kills/2, len(all))
	var strikes []strike
	for i := range kills {
		if i < named {
			strikes = append(strikes, at(all[i%len(all)], rng))
		} else {
			strikes = append(strikes, moment(rng))
		}
	}
	rng.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	return strikes
}

func at(point string, rng *rand.Rand) strike {
	return strike{point: point, count: 1 + rng.IntN(often(point)), stop: strings.HasPrefix(point, "stop.")}
}

// moment draws one: usually soon, start-up included, at times when the upkeep
// of the store is at work, and at times on the way out.
func moment(rng *rand.Rand) strike {
	switch n := rng.IntN(20); {
	case n < 2:
		return strike{after: time.Second + time.Duration(rng.Int64N(int64(100*time.Millisecond)))}
	case n < 4:
		return strike{stop: true, after: time.Duration(rng.Int64N(int64(30 * time.Millisecond)))}
	}
	return strike{after: time.Duration(rng.Int64N(int64(450 * time.Millisecond)))}
}

// name is what the report calls it.
func (s strike) name() string {
	switch {
	case s.point != "":
		return s.point
	case s.stop:
		return "random moment of stopping"
	}
	return "random moment"
}

// trap is what crashpoint.Env is set to; empty for what is not in the bridge.
func (s strike) trap() string {
	if !slices.Contains(crashpoint.Points(), s.point) {
		return ""
	}
	return fmt.Sprintf("%s:%d", s.point, s.count)
}
