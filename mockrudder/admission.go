package mockrudder

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/mockrudder/internal/gateway"
)

// DefaultDedupMax is how many message ids WithDedup remembers where it is given
// no number.
const DefaultDedupMax = 1_000_000

// admission is what RudderStack can be set up to keep out after a request is
// found good: users that are suppressed, and message ids that came before. It
// is safe for concurrent use.
type admission struct {
	window time.Duration // 0: nothing is deduplicated
	max    int

	mu         sync.Mutex
	suppressed map[string]bool
	first      map[string]bool // message ids that came
	order      []arrival       // the same with the time, the oldest first
}

type arrival struct {
	id string
	at time.Time
}

func newAdmission(c *config) *admission {
	a := &admission{window: c.dedupWindow, max: c.dedupMax, first: map[string]bool{}}
	a.suppress(c.suppressed)
	return a
}

// suppress replaces the list of users.
func (a *admission) suppress(users []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.suppressed = make(map[string]bool, len(users))
	for _, user := range users {
		a.suppressed[user] = true
	}
}

func (a *admission) users() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []string{}
	for user := range a.suppressed {
		list = append(list, user)
	}
	slices.Sort(list)
	return list
}

// forget has every message id come for the first time again.
func (a *admission) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.first)
	a.order = nil
}

// admit returns the messages that may be stored, in the same memory, and how
// many may not.
func (a *admission) admit(messages []gateway.Message, now time.Time) (admitted []gateway.Message, suppressed, duplicates uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.suppressed) == 0 && a.window == 0 {
		return messages, 0, 0
	}
	admitted = messages[:0]
	for _, m := range messages {
		switch {
		case a.suppressed[m.UserID]:
			suppressed++
		case a.window > 0 && a.repeated(m.MessageID, now):
			duplicates++
		default:
			admitted = append(admitted, m)
		}
	}
	return admitted, suppressed, duplicates
}

// repeated says whether a message id came within the window, and notes it
// where it did not. The window begins with the first one and is not prolonged.
func (a *admission) repeated(id string, now time.Time) bool {
	for len(a.order) > 0 && now.Sub(a.order[0].at) >= a.window {
		a.dropOldest()
	}
	if a.first[id] {
		return true
	}
	if len(a.first) >= a.max {
		a.dropOldest()
	}
	id = strings.Clone(id) // not a part of the body
	a.first[id] = true
	a.order = append(a.order, arrival{id, now})
	return false
}

func (a *admission) dropOldest() {
	delete(a.first, a.order[0].id)
	a.order[0] = arrival{}
	a.order = a.order[1:]
}
