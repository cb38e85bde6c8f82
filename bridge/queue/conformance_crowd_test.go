package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// crowd is senders and workers who are let loose on one queue. Its books say what the
// queue has promised them.
type crowd struct {
	k             *kit
	q             *queue.Queue
	name          string                            // of q
	batches, size int                               // what each sender sends
	id            func(sender, batch, i int) string // of an event
	outcome       func(n int, event []byte) byte    // of a worker's nth event: a letter, as settle has them

	mu    sync.Mutex
	books map[string]note // by an event's id
	after int             // acknowledgements until the cut; 0: there is none
	cut   chan struct{}   // closed when there were so many
}

// note is what is known of an event. What is tried may or may not have happened; what
// is acknowledged must have.
type note uint8

const (
	acked   note = 1 << iota // Append has returned
	held                     // a worker has it
	trying                   // Settle was called
	settled                  // Settle has returned
	burying                  // of trying: to the dead letters
	dead                     // of settled: in the dead letters
)

func (n note) has(what note) bool { return n&what != 0 }

// newCrowd is for a queue whose window no sender falls out of.
func newCrowd(k *kit, name string, batches, size int) *crowd {
	k.window = 1 << 20
	return &crowd{k: k, q: k.open(name), name: name, batches: batches, size: size, books: map[string]note{}}
}

// run runs senders, and beside them four workers and what else is done again and again,
// until all that was sent is settled.
func (c *crowd) run(senders int, beside ...func() error) {
	ctx, stop := context.WithCancel(c.k.ctx)
	defer stop()
	var sending errgroup.Group
	for s := range senders {
		sending.Go(func() error { return c.send(s) })
	}
	working, ctx := errgroup.WithContext(ctx)
	for w := range 4 {
		working.Go(func() error { return c.work(ctx, w) })
	}
	for _, do := range beside {
		working.Go(func() (err error) {
			for ctx.Err() == nil && err == nil {
				err = do()
			}
			return err
		})
	}
	require.NoError(c.k, sending.Wait())
	c.k.eventually(func() bool { return c.q.Ledger().Pending() == 0 || ctx.Err() != nil }, "everything is settled")
	stop()
	require.NoError(c.k, working.Wait())
	for id, n := range c.books {
		require.True(c.k, n.has(settled), "event %s", id)
	}
}

// send appends a sender's batches.
func (c *crowd) send(sender int) error {
	for b := range c.batches {
		ids := make([]string, c.size)
		for i := range ids {
			ids[i] = c.id(sender, b, i)
		}
		c.mu.Lock()
		known := 0
		for _, id := range ids {
			if c.books[id].has(acked) {
				known++
			}
		}
		c.mu.Unlock()
		got, err := c.q.Append(c.k.ctx, c.k.batch(ids...))
		if err != nil {
			return err
		}
		if got.Duplicates < known || got.Accepted+got.Duplicates != len(ids) {
			return fmt.Errorf("receipt %+v for %d events of which %d were acknowledged before", got, len(ids), known)
		}
		news := map[string]note{}
		for _, id := range ids {
			news[id] = acked
		}
		c.note(news, 0)
	}
	return nil
}

// note notes what was acknowledged and what holds no more, and brings about the cut.
func (c *crowd) note(news map[string]note, gone note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range news {
		c.books[id] = c.books[id]&^gone | n
	}
	if c.after--; c.after == 0 {
		close(c.cut)
	}
}

// work claims and settles; n is how many events the worker has had.
func (c *crowd) work(ctx context.Context, n int) error {
	for {
		records, err := c.q.Claim(ctx, queue.Limit{Events: 25, Bytes: 1 << 20})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		outcomes, news := make([]string, len(records)), map[string]note{}
		for i, r := range records {
			row := bytes.Repeat([]byte("-"), r.Events[len(r.Events)-1].Index+1)
			for _, e := range r.Events {
				n++
				row[e.Index] = c.outcome(n, e.Raw)
				if err := c.try(c.k.idOf(e.Raw), row[e.Index], news); err != nil {
					return err
				}
			}
			outcomes[i] = string(row)
		}
		err = c.q.Settle(c.k.ctx, settlement(records, outcomes...))
		if err != nil { // what became of them is undecided
			for id := range news {
				news[id] = 0
			}
		}
		c.note(news, held)
		c.q.Release(records...)
		if err != nil {
			return err
		}
	}
}

// try notes that an event is to get an outcome, and in news what is known afterwards.
func (c *crowd) try(id string, outcome byte, news map[string]note) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.books[id].has(held | settled) {
		return fmt.Errorf("event %s is handed out twice", id)
	}
	switch outcome {
	case 'x':
		c.books[id] |= held | trying | burying
		news[id] = settled | dead
	case '-':
		c.books[id] |= held
		news[id] = 0
	default:
		c.books[id] |= held | trying
		news[id] = settled
	}
	return nil
}
