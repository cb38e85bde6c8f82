package bridge

import "time"

// What is below these numbers works against the bridge, and is a slip: most often
// a unit that was left out.
const (
	// minBody is the smallest max_body: the largest event that Braze sends
	// (900 KB by its documentation of Currents, 921,600 bytes at most) must fit
	// into a batch of its own. Braze halves a batch that is answered 413; what it
	// does with a single event that is refused so is not documented, and may be
	// to drop it.
	minBody = 1 << 20
	// minStore is the smallest queue.max_size: the store's log and its files take
	// that much without an event in them, and intake would never open.
	minStore = 16 << 20
	// minHistory is the smallest retain.size; history is cut in steps that are
	// about as large. To keep none there is retain.age.
	minHistory = 1 << 20
	// minScrub is the shortest scrub_every. It bounds what all that is on disk is
	// read in, and below that the disk would do nothing else.
	minScrub = time.Second
	// minPost is the smallest max_body of a connector: about as many events as
	// Braze puts into one batch. Fewer cost RudderStack a request each for a
	// handful of events. (One event that is larger is sent alone all the same.)
	minPost = 64 << 10
	// minTimeout is the shortest timeout. A POST of a thousand events to a
	// RudderStack far away takes some hundred milliseconds; one that is cut off
	// is sent again, and what RudderStack had taken of it comes twice.
	minTimeout = time.Second
	// minRate is the smallest requests_per_second: one in a hundred seconds.
	minRate = 0.01
)

// zeroOr checks a value for which zero stands for something of its own.
func zeroOr[T int | int64 | time.Duration](p *problems, key string, value, low, high T, format func(T) string, zero string) {
	if value != 0 && (value < low || value > high) {
		p.add(key, "must be between %s and %s, or 0, which is %s, not %s", format(low), format(high), zero, format(value))
	}
}
