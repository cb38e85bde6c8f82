package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// connector is one of those that every bridge of the suite has.
type connector struct {
	name, mode, missing string
	rules               oracle.Rules
	mended              bool // history is replayed, users are erased, letters are purged
}

// What the bridge is told; the bound of its promise follows from it.
const (
	concurrency  = 2
	batchEvents  = 40
	inFlight     = concurrency * batchEvents
	dedupeWindow = 8_000 // few, so that ids leave it soon, and more than what is repeated
	postTimeout  = 30 * time.Second
	minBackoff   = 5 * time.Millisecond
	maxBackoff   = 50 * time.Millisecond
)

func connectors() []connector {
	return []connector{
		{"events", "events", "deliver", oracle.Rules{}, false},
		{"webhook", "webhook", "deliver", oracle.Rules{Mode: oracle.Webhook}, false},
		{"strict", "events", "drop", oracle.Rules{MissingExternalUserID: oracle.Filtered}, false},
		{"mended", "events", "deliver", oracle.Rules{}, true},
	}
}

// token is what Braze sends for a connector.
func (c connector) token() string { return "token-of-" + c.name }

// door tells the senders where the bridge is, while it is.
type door struct {
	mu     sync.Mutex
	life   int
	intake string
	opened chan struct{} // closed while the bridge is up
}

func newDoor() *door { return &door{opened: make(chan struct{})} }

func (d *door) open(life int, intake string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life, d.intake = life, intake
	close(d.opened)
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.opened:
		d.opened = make(chan struct{})
	default:
	}
}

// wait returns the bridge's life and address once it is up.
func (d *door) wait(ctx context.Context) (life int, intake string, err error) {
	for {
		d.mu.Lock()
		opened, life, intake := d.opened, d.life, d.intake
		d.mu.Unlock()
		select {
		case <-opened:
			return life, intake, nil
		case <-ctx.Done():
			return 0, "", ctx.Err()
		}
	}
}

// braze sends batches over several connections until it is told to stop, each
// again and again until it is taken, as Braze does.
type braze struct {
	books  *books
	door   *door
	client *http.Client
	ending chan struct{}
	all    sync.WaitGroup
}

// senders is how many connections each connector has.
const senders = 2

func startBraze(t *testing.T, b *books, d *door, seed uint64) *braze {
	s := &braze{
		books: b, door: d, ending: make(chan struct{}),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
	}
	templates := loadTemplates(t)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		s.all.Wait()
		s.client.CloseIdleConnections()
	})
	for i, c := range connectors() {
		for j := range senders {
			m := &maker{
				templates: templates, name: fmt.Sprintf("%s-%d", c.name, j), webhook: c.mode == "webhook", mended: c.mended,
				rng: rand.New(rand.NewPCG(seed, uint64(10*i+j))),
			}
			s.all.Go(func() { s.send(ctx, c, m) })
		}
	}
	return s
}

// stop makes each sender end once its last batch is taken, and waits for that.
func (s *braze) stop(ctx context.Context) error {
	close(s.ending)
	done := make(chan struct{})
	go func() {
		s.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a batch is never taken: %w", ctx.Err())
	}
}

func (s *braze) send(ctx context.Context, c connector, m *maker) {
	for {
		select {
		case <-s.ending:
			return
		default:
		}
		if err := s.deliver(ctx, c, m); err != nil {
			if ctx.Err() == nil {
				s.books.report(err)
			}
			return
		}
		if !pause(ctx, time.Duration(m.rng.Int64N(int64(25*time.Millisecond)))) {
			return
		}
	}
}

// deliver sends one batch until it is taken; now and then it gives it up once
// it has failed, so that there are batches of which nothing is known.
func (s *braze) deliver(ctx context.Context, c connector, m *maker) error {
	batch := m.batch()
	text := body(batch)
	for {
		life, intake, err := s.door.wait(ctx)
		if err != nil {
			return err
		}
		s.books.try(c.name, batch)
		status, err := s.post(ctx, c, intake, text)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status == http.StatusOK:
			s.books.ack(life, c.name, batch)
			return nil
		case err == nil && status != http.StatusServiceUnavailable:
			return fmt.Errorf("the bridge answers %d to a batch for %s", status, c.name)
		case m.rng.IntN(10) == 0:
			return nil
		}
		if !pause(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// post returns the status; an answer that is cut off before its end is none.
func (s *braze) post(ctx context.Context, c connector, intake string, text []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, intake+"/currents/"+c.name, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token())
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// pause waits, and says whether it did so to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// until asks again and again until ok, an error, or the end of ctx.
func until(ctx context.Context, every time.Duration, ok func() (bool, error)) error {
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		if !pause(ctx, every) {
			return errors.Join(errors.New("it takes too long"), ctx.Err())
		}
	}
}
