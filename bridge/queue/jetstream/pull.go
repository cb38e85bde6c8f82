package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

const (
	maxPulls  = 512 // requests that wait at the consumer, of all bridges
	maxSweep  = 256 // records that one request asks for
	pollTime  = 5 * time.Second
	sweepTime = 2 * time.Second // after which a request without an answer is given up
	fresh     = 50 * time.Millisecond
)

// sweep is a request for what is there now.
type sweep struct {
	subject string
	want    int
	got     int
	done    chan struct{}
}

// listen subscribes to what the consumer answers to requests for messages.
func (q *connQueue) listen() (err error) {
	q.inbox = q.store.nc.NewInbox()
	q.pulls, err = q.store.nc.Subscribe(q.inbox+".*", q.arrived)
	if err != nil {
		return err
	}
	return q.pulls.SetPendingLimits(-1, -1)
}

// ask requests messages; the answers come to arrived.
func (q *connQueue) ask(subject string, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	api := "$JS.API.CONSUMER.MSG.NEXT." + q.names.stream + "." + consumerName
	return q.store.nc.PublishRequest(api, subject, body)
}

type pullNow struct {
	Batch  int  `json:"batch"`
	NoWait bool `json:"no_wait"`
}

type pullLater struct {
	Batch   int           `json:"batch"`
	Expires time.Duration `json:"expires"`
}

// sweep asks for up to want records that are there now and waits until they are
// in the pool. It returns how many came.
func (q *connQueue) sweep(ctx context.Context, want int) (int, error) {
	select {
	case <-q.turn:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	q.mu.Lock()
	sw := &sweep{subject: q.inbox + ".now", want: want, done: make(chan struct{})}
	q.asked = sw
	q.mu.Unlock()
	if err := q.ask(sw.subject, pullNow{want, true}); err != nil {
		q.mu.Lock()
		q.asked = nil
		q.mu.Unlock()
		q.turn <- struct{}{}
		return 0, nil // there is no connection; the caller waits for one
	}
	finished := make(chan int, 1)
	go func() { // outlives a caller who does not wait
		t := time.NewTimer(sweepTime)
		defer t.Stop()
		select {
		case <-sw.done:
		case <-t.C:
		case <-q.store.done:
		}
		q.mu.Lock()
		q.asked = nil
		got := sw.got
		q.mu.Unlock()
		q.turn <- struct{}{}
		finished <- got
	}()
	select {
	case got := <-finished:
		return got, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// poll asks for one record, whenever it comes, unless that is asked for already.
func (q *connQueue) poll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Now().Before(q.polling) || len(q.held) >= q.store.opts.InFlight {
		return
	}
	if q.ask(q.inbox+".later", pullLater{1, pollTime}) == nil {
		q.polling = time.Now().Add(pollTime + sweepTime)
	}
}

// arrived takes what the consumer sends.
func (q *connQueue) arrived(m *nats.Msg) {
	if strings.HasPrefix(m.Subject, q.inbox) { // a word about a request, and no message
		q.mu.Lock()
		defer q.mu.Unlock()
		if strings.HasSuffix(m.Subject, ".later") {
			q.polling = time.Time{}
			close(q.more)
			q.more = make(chan struct{})
		} else if q.asked != nil {
			q.asked.end()
		}
		return
	}
	d, err := q.identify(m)
	if err == nil {
		err = q.admit(d)
	}
	if err != nil && q.store.ctx.Err() == nil {
		q.store.opts.Logger.Error("a record cannot be read; it stays pending", "connector", q.name, "record", d.seq, "error", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if sw := q.asked; sw == nil {
		q.polling = time.Time{}
	} else if sw.got++; sw.got >= sw.want {
		sw.end()
	}
}

// end lets the one go on who waits. The queue's mu is held.
func (s *sweep) end() {
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

func (q *connQueue) identify(m *nats.Msg) (delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return delivery{}, err
	}
	d := delivery{msg: m, seq: meta.Sequence.Stream, at: meta.Sequence.Stream, back: meta.NumDelivered > 1}
	if m.Subject == q.names.of(wordRecord) {
		return d, nil
	}
	e, err := decode(m.Header.Get(header))
	d.seq = e.number
	return d, err
}

// admit takes a message into the pool, unless the totals say that it is done.
func (q *connQueue) admit(d delivery) error {
	if err := q.settled(q.store.ctx, d.at); err != nil {
		return err
	}
	if d.back { // see what became of it
		q.catchUp()
	}
	q.fold.mu.Lock()
	done := q.fold.pending.find(d.seq) == nil
	stale := q.fold.side.rewritten[d.seq] > d.at // what replaced it comes by itself
	q.fold.mu.Unlock()
	reply := d.msg.Reply
	q.mu.Lock()
	defer q.mu.Unlock()
	switch l := q.held[d.seq]; {
	case q.gone:
		return q.store.nc.Publish(reply, []byte(ackGiveBack))
	case done || stale:
		return q.store.nc.Publish(reply, []byte(ackDone))
	case l != nil: // ours: it came again, or was rewritten meanwhile
		l.replies = append(l.replies, reply)
		const few = 4
		if n := len(l.replies); n > few {
			l.replies = l.replies[n-few:]
		}
		return nil
	}
	l, err := newLease(d.seq, d.msg.Data)
	if err != nil {
		return fmt.Errorf("message %d: %w", d.at, err)
	}
	l.replies, l.touched = []string{reply}, time.Now()
	if !l.refresh(q.fold) {
		return q.store.nc.Publish(reply, []byte(ackDone))
	}
	q.held[d.seq] = l
	q.put(l)
	return nil
}

// catchUp makes sure that the totals are up to date, but for a moment.
func (q *connQueue) catchUp() {
	q.mu.Lock()
	recent := time.Since(q.synced) < fresh
	q.mu.Unlock()
	if recent {
		return
	}
	if err := q.sync(q.store.ctx); err == nil {
		q.mu.Lock()
		q.synced = time.Now()
		q.mu.Unlock()
	}
}

// Fetch implements queue.Queue.
func (q *connQueue) Fetch(ctx context.Context, limit queue.Limit) ([]*queue.Record, error) {
	end, err := q.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	ctx, cancel := q.store.untilEnd(ctx)
	defer cancel()
	q.mu.Lock()
	q.waiting++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.waiting--
		q.mu.Unlock()
	}()
	for {
		q.mu.Lock()
		more := q.more
		q.mu.Unlock()
		if err := q.gather(ctx, limit); err != nil {
			return nil, q.store.endedOr(err)
		}
		if records := q.handOut(limit); len(records) > 0 {
			return records, nil
		}
		q.poll()
		again := time.NewTimer(pollTime)
		select {
		case <-more:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		if err := ctx.Err(); err != nil {
			return nil, q.store.endedOr(err)
		}
	}
}

// gather fills the pool until the limit is reached or nothing is left.
func (q *connQueue) gather(ctx context.Context, limit queue.Limit) error {
	for {
		want := q.missing(limit)
		if want == 0 {
			return nil
		}
		got, err := q.sweep(ctx, want)
		if err != nil {
			return err
		}
		if got < want {
			return nil
		}
	}
}

// missing estimates how many records the pool is short of the limit.
func (q *connQueue) missing(limit queue.Limit) int {
	q.fold.mu.Lock()
	records := max(len(q.fold.pending.items)-q.fold.pending.done, 1)
	each := max(float64(q.fold.ledger.Pending())/float64(records), 1)
	q.fold.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	events, bytes := limit.Events, limit.Bytes
	for _, l := range q.pool {
		events, bytes = events-l.left, bytes-l.bytes
	}
	if events <= 0 || bytes <= 0 {
		return 0
	}
	room := q.store.opts.InFlight - len(q.held)
	return max(0, min(room, maxSweep, int(min(float64(events)/each, maxSweep))+1))
}

// handOut takes records from the pool, oldest first.
func (q *connQueue) handOut(limit queue.Limit) (records []*queue.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.pool) > 0 && !q.gone {
		l := q.pool[0]
		if !l.refresh(q.fold) { // another bridge was quicker
			q.pool = q.pool[1:]
			q.drop(l, ackDone)
			continue
		}
		if len(records) > 0 && (l.left > limit.Events || l.bytes > limit.Bytes) {
			break
		}
		q.pool = q.pool[1:]
		limit.Events, limit.Bytes = limit.Events-l.left, limit.Bytes-l.bytes
		l.out = true
		records = append(records, l.record(q.originOf(l.seq)))
		if limit.Events <= 0 || limit.Bytes <= 0 {
			break
		}
	}
	return records
}
