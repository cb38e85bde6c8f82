package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How the far end is read: events of a page, and how long one may take.
const (
	pageLimit   = 2000
	pageTimeout = 30 * time.Second
)

// Verification is what became of the acknowledged events at the far end. Counts
// include the warm-up, latencies leave it out.
type Verification struct {
	FarEnd     string `json:"far_end"`
	Acked      uint64 `json:"acked"`
	Arrived    uint64 `json:"arrived"`    // different events of this run
	Dead       uint64 `json:"dead"`       // of these, dead letters at once, as the answers said
	Lost       uint64 `json:"lost"`       // acknowledged, not dead and not arrived
	Duplicated uint64 `json:"duplicated"` // arrivals beyond the first
	// Unacknowledged events arrived although their batch got no 2XX.
	Unacknowledged uint64 `json:"unacknowledged"`
	Foreign        uint64 `json:"foreign"` // arrivals that are not of this run
	// FromAnswer is the time from the answer to the arrival, FromIntended that
	// from the intended instant, of acknowledged events. An event that arrives
	// before its answer counts as 0 for the first. The clocks of both machines
	// must agree.
	FromAnswer   Latencies `json:"from_answer_ms,omitzero"`
	FromIntended Latencies `json:"from_intended_ms,omitzero"`
	// Problem says why it is unknown what was lost; then Lost and Duplicated have
	// no meaning.
	Problem string `json:"problem,omitempty"`
	// LostIDs are the ids of the first 100 lost events. Of a batch with dead letters
	// it has all that are missing: which of them are dead is not known.
	LostIDs []string `json:"lost_ids,omitempty"`
}

// follower reads by cursor what arrives at a mockrudder.
type follower struct {
	ledger
	base   *url.URL
	client *http.Client
	poll   time.Duration // between pages that are not full

	allSent atomic.Bool

	cursor  string
	start   time.Time
	first   uint64 // the far end's total at the start
	total   uint64 // the far end's total when last seen
	read    uint64 // events that were read since
	short   uint64 // how many fewer were read than came, when last seen
	lastErr error
	problem string // why it is unknown what was lost
}

func newFollower(c *Config, ids numbering) (*follower, error) {
	u, err := parseURL(c.Verify)
	if err != nil {
		return nil, fmt.Errorf("the address to verify at: %w", err)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	transport := &http.Transport{DialContext: c.Dial, MaxIdleConnsPerHost: 1, TLSClientConfig: tlsConfig(c)}
	return &follower{
		ledger: ledger{ids: ids, size: uint64(c.Batch)},
		base:   u,
		poll:   200 * time.Millisecond,
		client: &http.Client{Transport: transport, Timeout: pageTimeout},
	}, nil
}

// begin reads to the end of what the far end has already.
func (f *follower) begin(ctx context.Context) error {
	for {
		p, err := f.page(ctx)
		f.first, f.total = p.Total, p.Total
		if err != nil || len(p.Events) == 0 {
			return err
		}
	}
}

// run reads what arrives. When all is sent, it ends after three pages without events,
// all that was acknowledged having arrived: a duplicate may arrive a little later.
// When the wait is over, it ends after three pages, since only the last of what came
// shows whether messages were dropped unread.
func (f *follower) run(ctx, wait context.Context, start time.Time) {
	f.start = start
	for quiet := 0; quiet < 3 && f.problem == "" && ctx.Err() == nil; {
		read := f.step(ctx)
		switch {
		case read == pageLimit:
			continue
		case wait.Err() != nil, f.allSent.Load() && read == 0 && f.lost() == 0:
			quiet++
		default:
			quiet = 0
		}
		select {
		case <-wait.Done():
		case <-time.After(f.poll):
		}
	}
	if f.lastErr == nil { // the time was over before all was read
		f.lastErr = ctx.Err()
	}
}

func (f *follower) step(ctx context.Context) int {
	before := f.cursor
	p, err := f.page(ctx)
	for i := range p.Events {
		f.arrive([]byte(p.Events[i].MessageID), p.Events[i].ReceivedAt.Sub(f.start))
	}
	if f.lastErr = err; err != nil {
		return 0
	}
	f.read += uint64(len(p.Events))
	f.problem = f.outrun(before, p)
	return len(p.Events)
}

// outrun says whether the far end dropped messages before they were read. Its
// cursors count its messages: one that goes further than the page has events has
// passed some, also where no page is ever empty until the wait is over. Its total
// counts all messages since its start; a page without events shows whether all of
// these were read.
func (f *follower) outrun(cursor string, p page) string {
	if p.Total < f.total {
		return "the far end was reset or restarted during the run"
	}
	f.total = p.Total
	before, dropped := f.short, uint64(0)
	f.short = 0
	from, errFrom := strconv.ParseUint(cursor, 10, 64)
	to, errTo := strconv.ParseUint(p.Next, 10, 64)
	n, came := uint64(len(p.Events)), p.Total-f.first
	switch {
	case n == 0 && came > f.read:
		if f.short = came - f.read; f.short == before { // seen twice: they are not just arriving
			dropped = f.short
		}
	case n > 0 && errFrom == nil && errTo == nil && to > from+n:
		dropped = to - from - n
	}
	if dropped == 0 {
		return ""
	}
	return fmt.Sprintf("the far end gave up %d messages before they were read: let it keep more (mockrudder serve --keep)", dropped)
}

// page has the members of /_mock/events?summary=1 that are used.
type page struct {
	Events []struct {
		MessageID  string    `json:"messageId"`
		ReceivedAt time.Time `json:"received_at"`
	} `json:"events"`
	Next  string `json:"next"`
	Total uint64 `json:"total"`
}

func (f *follower) page(ctx context.Context) (p page, err error) {
	address := fmt.Sprintf("%s/events?limit=%d&after=%s&summary=1", shown(f.base), pageLimit, url.QueryEscape(f.cursor))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return p, err
	}
	res, err := f.client.Do(req)
	if err != nil {
		return p, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return p, fmt.Errorf("%s answers %d: is it the /_mock of a mockrudder?", shown(f.base), res.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 512<<20)).Decode(&p); err != nil {
		return page{}, fmt.Errorf("%s: the answer is no page of events of a mockrudder: %w", shown(f.base), err)
	}
	if p.Next != "" {
		f.cursor = p.Next
	}
	return p, nil
}

// verdict is called after all goroutines have ended.
func (f *follower) verdict(pace Pace) *Verification {
	v := f.counts
	v.FarEnd, v.Problem, v.Unacknowledged = shown(f.base), f.problem, v.Arrived
	if v.Problem == "" && f.lastErr != nil {
		v.Problem = "the far end could not be read: " + f.lastErr.Error()
	}
	answer, intended := newHistogram(3), newHistogram(3)
	for n, b := range f.sent {
		if b.acked == 0 {
			continue
		}
		first := uint64(n) * f.size
		due := instant(b.start)
		if at, ok := pace.Due(first); ok && !pace.closed() {
			due = at
		}
		for i := range uint64(b.events) {
			seen := *at(&f.seen, first+i)
			switch {
			case seen == 0 && b.missing() > 0 && len(v.LostIDs) < 100:
				v.LostIDs = append(v.LostIDs, string(f.ids.append(nil, first+i)))
			case seen != 0:
				v.Unacknowledged--
				if !b.warm {
					record(answer, instant(seen)-instant(b.acked))
					record(intended, instant(seen)-due)
				}
			}
		}
	}
	v.FromAnswer, v.FromIntended = latenciesOf(answer), latenciesOf(intended)
	return &v
}

// tick is the resolution of instants in the ledger: 32 bits of it are 119 hours,
// longer than a run can be.
const tick = 100 * time.Microsecond

// stamp makes a tick of an instant of the run; it is never 0.
func stamp(at time.Duration) uint32 { return uint32(max(at, 0)/tick) + 1 }

func instant(stamp uint32) time.Duration { return time.Duration(stamp-1) * tick }

// at returns element i of a list, which grows to it.
func at[T any](list *[]T, i uint64) *T {
	if missing := int(i) + 1 - len(*list); missing > 0 {
		*list = append(*list, make([]T, missing)...)
	}
	return &(*list)[i]
}

// ledger keeps what was acknowledged and what arrived: four bytes for an event and
// twelve for a batch. No id is kept: the number of an event follows from its id.
type ledger struct {
	ids  numbering
	size uint64 // events a batch

	mu     sync.Mutex
	issued uint64   // events: the numbers below may have arrived
	seen   []uint32 // by event: when it arrived, 0 where it did not
	sent   []sentBatch
	counts Verification
}

// sentBatch is a batch that was sent; acked is 0 until it is acknowledged. dead is
// how many of its events went to the dead letters, as its answer said.
type sentBatch struct {
	start, acked       uint32
	events, seen, dead uint8
	warm               bool
}

// missing is how many of the batch's events should have arrived and have not.
func (b *sentBatch) missing() uint64 {
	if b.acked == 0 {
		return 0
	}
	return uint64(max(0, int(b.events)-int(b.seen)-int(b.dead)))
}

// issue notes that a batch is in flight, so that its events may arrive.
func (l *ledger) issue(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*at(&l.sent, b.number) = sentBatch{start: stamp(b.start), events: uint8(b.events), warm: b.warm}
	l.issued = max(l.issued, b.number*l.size+uint64(b.events))
}

func (l *ledger) answered(b *batch) {
	if outcome(b).Acked == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := at(&l.sent, b.number)
	sent.acked, sent.dead = stamp(b.done), uint8(b.dead)
	l.counts.Acked += uint64(b.events)
	l.counts.Dead += uint64(b.dead)
	l.counts.Lost += sent.missing()
}

func (l *ledger) arrive(id []byte, when time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ours := l.ids.numberOf(id, l.issued)
	if !ours {
		l.counts.Foreign++
		return
	}
	seen := at(&l.seen, n)
	if *seen != 0 {
		l.counts.Duplicated++
		return
	}
	*seen = stamp(when)
	l.counts.Arrived++
	sent := at(&l.sent, n/l.size)
	before := sent.missing()
	sent.seen++
	l.counts.Lost -= before - sent.missing()
}

func (l *ledger) lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.Lost
}
