package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Claims gives a Queue the methods by which delivery reads it: Claim is Fetch, and
// Load reads again what was fetched. It keeps the events of fetched records until
// they are released.
func Claims(q Queue) *Claimed {
	return &Claimed{Queue: q, held: map[uint64]Record{}}
}

// Claimed is a queue that can read claimed records again. Make it with Claims.
type Claimed struct {
	Queue
	mu   sync.Mutex
	held map[uint64]Record
}

// Claim is Fetch.
func (c *Claimed) Claim(ctx context.Context, limit Limit) ([]*Record, error) {
	records, err := c.Fetch(ctx, limit)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		kept := *r
		kept.Events = slices.Clone(r.Events)
		c.held[r.Seq] = kept
	}
	return records, err
}

// Load returns the events of a claimed record, settled ones among them. The error
// wraps ErrNotHeld where it is not claimed.
func (c *Claimed) Load(_ context.Context, seq uint64) (*Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.held[seq]
	if !ok {
		return nil, fmt.Errorf("record %d: %w", seq, ErrNotHeld)
	}
	r.Events = slices.Clone(r.Events)
	return &r, nil
}

// Release gives back what is not settled of the records.
func (c *Claimed) Release(records ...*Record) {
	c.mu.Lock()
	for _, r := range records {
		delete(c.held, r.Seq)
	}
	c.mu.Unlock()
	c.Queue.Release(records...)
}
