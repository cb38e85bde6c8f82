package crash

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// books hold what was sent, what was acknowledged, and what came in at
// RudderStack, and by which life of the bridge: lives are numbered from 1, and
// the crash that ends a life has its number.
type books struct {
	mu         sync.Mutex
	connectors map[string]*account
	dead       map[int]bool // lives that are over and whose deeds count no more
	faults     []string
}

// account is the books of one connector.
type account struct {
	rules    oracle.Rules
	bound    int // events that may be in flight to its destination
	mended   bool
	entries  map[string]*entry
	arrivals map[string]*arrival // by messageId, or by key where there is none
	tried    int64               // events in requests, those sent again included
	acked    int64               // events in requests that were answered 200
	ledger   harness.Ledger      // as it was last seen
}

// entry is one event that was sent, by its key.
type entry struct {
	id      string // empty: it has none that can be used
	fate    oracle.Fate
	reason  string     // of a dead one
	arrives oracle.Sum // in events mode: its message without the messageId
	raw     [sha256.Size]byte
	tried   int // times that it was in a request
	acked   int
	copies  int // different messages that came in
	buried  int
	refused bool // RudderStack has refused it alone
}

// arrival is one message that came in, and each life that has brought it.
type arrival struct {
	lives   []int
	excused []int // lives in which its answer was lost on purpose
}

func newBooks() *books {
	b := &books{connectors: map[string]*account{}, dead: map[int]bool{}}
	for _, c := range connectors() {
		b.connectors[c.name] = &account{
			rules: c.rules, bound: inFlight, mended: c.mended, entries: map[string]*entry{}, arrivals: map[string]*arrival{},
		}
	}
	return b
}

// fault notes something that must never be. The first few say enough.
func (b *books) fault(format string, args ...any) {
	if len(b.faults) < 20 {
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
}

func (b *books) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault("%v", err)
}

func (b *books) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(b.faults, "\n"))
}

// end makes a life count no more: what it does from here on is done by a
// machine that is off.
func (b *books) end(life int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead[life] = true
}

// try notes that a request with these events is about to be sent.
func (b *books) try(connector string, events []event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.connectors[connector]
	a.tried += int64(len(events))
	for _, e := range events {
		known, ok := a.entries[e.key]
		if !ok {
			want, err := oracle.Expect(e.raw, a.rules)
			if err != nil {
				b.fault("%s: %v", e.key, err)
				continue
			}
			known = &entry{id: want.ID, fate: want.Fate, reason: want.Reason, raw: sha256.Sum256(e.raw)}
			if fields, ok := want.Arrives.(map[string]any); ok && a.rules.Mode == oracle.Events {
				delete(fields, "messageId")
			}
			known.arrives = oracle.SumOf(want.Arrives, oracle.Exact)
			if strings.Contains(e.key, poison) && want.Fate == oracle.Deliver {
				known.fate, known.reason = oracle.Dead, "refused"
			}
			a.entries[e.key] = known
		}
		known.tried++
	}
}

// ack notes that a life has answered 200 to a request with these events.
func (b *books) ack(life int, connector string, events []event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead[life] {
		return
	}
	a := b.connectors[connector]
	a.acked += int64(len(events))
	for _, e := range events {
		a.entries[e.key].acked++
	}
}

// message is one message as RudderStack got it.
type message struct {
	key, id string
	sum     oracle.Sum // without the messageId
	raw     []byte
}

// read takes a message apart.
func read(webhook bool, raw []byte) (message, error) {
	v, err := oracle.Decode(raw)
	if err != nil {
		return message{}, err
	}
	fields, _ := v.(map[string]any)
	properties, _ := fields["properties"].(map[string]any)
	m := message{raw: raw}
	m.key, _ = properties[keyProperty].(string)
	m.id = m.key
	if !webhook {
		m.id, _ = fields["messageId"].(string)
		delete(fields, "messageId")
	}
	m.sum = oracle.SumOf(v, oracle.Exact)
	return m, nil
}

// arrived notes a POST that a life has brought and that RudderStack has
// stored; lost says that its answer never leaves. It is false, and nothing is
// noted, where that life is over.
func (b *books) arrived(life int, connector string, messages []message, lost bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead[life] {
		return false
	}
	a := b.connectors[connector]
	if len(messages) > a.bound {
		b.fault("a POST to %s has %d events; at most %d may be in flight", connector, len(messages), a.bound)
	}
	for _, m := range messages {
		known := a.entries[m.key]
		if known == nil || m.id == "" {
			b.fault("stray message to %s: key %q, id %q", connector, m.key, m.id)
			continue
		}
		if wrong := a.mismatch(known, m); wrong != "" {
			b.fault("event %s arrived %s: %.300s", m.key, wrong, m.raw)
		}
		was := a.arrivals[m.id]
		if was == nil {
			was = &arrival{}
			a.arrivals[m.id] = was
			known.copies++
		}
		was.lives = append(was.lives, life)
		if lost {
			was.excused = append(was.excused, life)
		}
	}
	return true
}

// mismatch says how a message is not what it should be.
func (a *account) mismatch(known *entry, m message) string {
	switch {
	case known.fate != oracle.Deliver:
		return "although it must not"
	case a.rules.Mode == oracle.Webhook && sha256.Sum256(m.raw) != known.raw:
		return "in other bytes"
	case a.rules.Mode == oracle.Webhook:
		return ""
	case known.id != "" && m.id != known.id:
		return "with another messageId, " + m.id
	case m.sum != known.arrives:
		return "changed"
	}
	return ""
}

// refuse says whether RudderStack refuses a POST with these messages, and
// remembers that a sick event was refused alone.
func (b *books) refuse(connector string, messages []message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.connectors[connector]
	for _, m := range messages {
		known := a.entries[m.key]
		if known == nil {
			continue
		}
		if strings.Contains(m.key, poison) {
			return true
		}
		if strings.Contains(m.key, sick) && !known.refused {
			known.refused = len(messages) == 1
			return true
		}
	}
	return false
}

// acknowledged is how many events of each connector were in requests that were
// answered 200.
func (b *books) acknowledged() map[string]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]int64{}
	for name, a := range b.connectors {
		all[name] = a.acked
	}
	return all
}

// check holds a ledger against the books, and against the one before. acked is
// what acknowledged returned before the bridge was asked for the ledger.
func (b *books) check(l harness.Ledger, acked int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.connectors[l.Name]
	if a == nil {
		b.fault("the bridge's status has a connector %q", l.Name)
		return
	}
	if err := l.Check(); err != nil {
		b.fault("%s: %v", l.Name, err)
	}
	was := a.ledger
	for what, pair := range map[string][2]int64{
		"received": {was.Received, l.Received}, "duplicates": {was.Duplicates, l.Duplicates},
		"accepted": {was.Accepted, l.Accepted}, "filtered": {was.Filtered, l.Filtered},
		"delivered":                 {was.Delivered, l.Delivered},
		"purged":                    {was.Purged, l.Purged},
		"replayed":                  {was.Replayed, l.Replayed},
		"acknowledged, as received": {acked, l.Received},
		"received, as sent":         {l.Received, a.tried},
		"delivered, as arrived":     {l.Delivered, int64(len(a.arrivals))},
	} {
		if pair[0] > pair[1] {
			b.fault("%s: %s goes from %d to %d", l.Name, what, pair[0], pair[1])
		}
	}
	a.ledger = l
}

// bury notes a dead letter at the end.
func (b *books) bury(connector string, raw []byte, reason string) {
	key := keyOf(raw)
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.connectors[connector].entries[key]
	switch {
	case known == nil:
		b.fault("a dead letter of %s was never sent: %.200s", connector, raw)
		return
	case known.fate != oracle.Dead || known.reason != reason:
		b.fault("event %s is dead (%s), expected: %s", key, reason, orDelivered(known.reason))
	case known.raw != sha256.Sum256(raw):
		b.fault("event %s is dead in other bytes", key)
	}
	known.buried++
}

func orDelivered(reason string) string {
	if reason == "" {
		return "delivered"
	}
	return reason
}

// keyOf finds the key of an event as Braze sent it.
func keyOf(raw []byte) string {
	v, err := oracle.Decode(raw)
	if err != nil {
		return ""
	}
	if text, ok := v.(string); ok {
		return text
	}
	fields, _ := v.(map[string]any)
	properties, _ := fields["properties"].(map[string]any)
	key, _ := properties[keyProperty].(string)
	return key
}
