package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type books struct {
	ledger func() queue.Ledger
	dead   []queue.DeadLetter
	diedAt time.Time          // when what is replayed dies again
	moves  int                // calls of ReplayDead
	chosen queue.LetterFilter // that of the last page
	replay queue.Replay
	erase  []string // events of history
	hidden int      // places that Erase cannot search
	err    error
}

func (b *books) StartReplay(_ context.Context, order queue.ReplayOrder) (queue.Replay, error) {
	if b.replay.Active() {
		return queue.Replay{}, queue.ErrReplaying
	}
	b.replay = queue.Replay{Number: b.replay.Number + 1, Order: order, StartedAt: noon}
	return b.replay, b.err
}

func (b *books) EndReplay(_ context.Context, number uint64) error {
	if b.replay.Number == number {
		b.replay.EndedAt = noon.Add(time.Minute)
	}
	return b.err
}

func (b *books) Replay(context.Context) (queue.Replay, error) { return b.replay, b.err }

func (b *books) Erase(_ context.Context, match func([]byte) bool) (queue.Erasure, error) {
	before := len(b.erase)
	b.erase = slices.DeleteFunc(b.erase, func(event string) bool { return match([]byte(event)) })
	return queue.Erasure{History: before - len(b.erase), Pending: 1, Unreadable: b.hidden}, b.err
}

func (b *books) Ledger() queue.Ledger { return b.ledger() }

// Letters returns pages of two, chosen by number and reason.
func (b *books) Letters(_ context.Context, f queue.LetterFilter) (page []queue.DeadLetter, err error) {
	b.chosen = f
	for _, l := range b.dead {
		l.Events = max(l.Events, 1)
		if l.Number > f.After && l.Number <= cmp.Or(f.Last, l.Number) && len(page) < 2 &&
			(f.Numbers == nil || slices.Contains(f.Numbers, l.Number)) && l.Reason == cmp.Or(f.Reason, l.Reason) {
			page = append(page, l)
		}
	}
	return page, b.err
}

func (b *books) Summary(_ context.Context, f queue.LetterFilter) (groups []queue.LetterGroup, err error) {
	b.chosen = f
	for _, l := range b.dead {
		groups = append(groups, queue.LetterGroup{Reason: l.Reason, Events: 1, Letters: 1, First: l.Number, Last: l.Number})
	}
	return groups, b.err
}

func (b *books) Pending(context.Context, uint64, int) ([]*queue.Record, error) {
	return []*queue.Record{{Seq: 7, Events: []queue.Event{{Index: 3, Raw: []byte(`{"id":"x"}`)}}}}, b.err
}

func (b *books) PurgeDead(_ context.Context, numbers ...uint64) (int, error) {
	before := len(b.dead)
	b.dead = slices.DeleteFunc(b.dead, func(d queue.DeadLetter) bool { return slices.Contains(numbers, d.Number) })
	return before - len(b.dead), b.err
}

// ReplayDead dead-letters every letter again, as long as nothing is repaired.
func (b *books) ReplayDead(ctx context.Context, numbers ...uint64) (int, error) {
	if b.moves++; b.moves > 100 {
		return 0, errors.New("the same letters are replayed over and over")
	}
	last := b.dead[len(b.dead)-1].Number
	again := slices.DeleteFunc(slices.Clone(b.dead), func(d queue.DeadLetter) bool { return !slices.Contains(numbers, d.Number) })
	n, err := b.PurgeDead(ctx, numbers...)
	for i, letter := range again {
		b.dead = append(b.dead, queue.DeadLetter{Number: last + 1 + uint64(i), DiedAt: b.diedAt, Event: letter.Event})
	}
	return n, err
}

type fixture struct {
	*Admin
	usage queue.Usage
	drift []drift.Item
	about About
	a, b  *books
	gone  *books // of a connector that is not in the configuration
	log   bytes.Buffer

	states     map[string]delivery.State // by connector
	parked     []delivery.ParkedEvent
	setAside   string
	resumed    []string
	oldest     time.Time
	store      string // what a backup holds; "": there is none
	backfilled string
	failure    error // of a backfill
}

func (f *fixture) Usage() queue.Usage    { return f.usage }
func (f *fixture) Unknown() []drift.Item { return f.drift }
func (f *fixture) About() About          { return f.about }

func (f *fixture) OldestHistory(context.Context) (time.Time, error) { return f.oldest, nil }

func (f *fixture) Backup(_ context.Context, file string) error {
	if f.store == "" {
		return ErrNoStore
	}
	return os.WriteFile(file, []byte(f.store), 0o600)
}

func (f *fixture) Backfill(connector string, body io.Reader) (queue.Receipt, error) {
	text, err := io.ReadAll(body)
	f.backfilled = connector + " " + string(text)
	return queue.Receipt{Accepted: 4, Duplicates: 3, Filtered: 2, Dead: 1}, errors.Join(err, f.failure)
}

// sender is that of a connector.
type sender struct {
	*fixture
	name string
}

func (s sender) Resume() { s.resumed = append(s.resumed, s.name) }

func (s sender) State() delivery.State { return s.states[s.name] }

func (s sender) Parked(context.Context, int) ([]delivery.ParkedEvent, int, error) {
	return s.parked, len(s.parked), nil
}

func (s sender) DeadLetter(_ context.Context, record uint64, index int) error {
	if len(s.parked) == 0 || s.parked[0].Seq != record || s.parked[0].Index != index {
		return delivery.ErrNotParked
	}
	s.setAside = fmt.Sprint(record, index)
	return nil
}

func newFixture() *fixture {
	f := &fixture{states: map[string]delivery.State{
		"a": {Name: delivery.StateOK}, "b": {Name: delivery.StatePaused, LastError: "401 Unauthorized"},
	}}
	f.a = &books{ledger: func() queue.Ledger {
		return queue.Ledger{Received: 100, Duplicates: 10, Accepted: 90, Filtered: 5, Delivered: 40, Dead: 7, Purged: 3, Replayed: 2, Backfilled: 4, OldestPending: noon.Add(-90500 * time.Millisecond)}
	}}
	empty := func() queue.Ledger { return queue.Ledger{} }
	f.b, f.gone = &books{ledger: empty}, &books{ledger: empty}
	f.a.diedAt, f.b.diedAt = noon, noon
	f.Admin = New(Config{
		Bridge: f,
		Now:    func() time.Time { return noon },
		Log:    slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	f.Show([]Connector{
		{Name: "a", Queue: f.a, Sender: sender{f, "a"}},
		{Name: "b", Queue: f.b, Sender: sender{f, "b"}},
		{Name: "gone", Queue: f.gone, Quiet: true},
	})
	return f
}

func (f *fixture) ask(line, body string, headers ...string) *http.Response {
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, "http://localhost:9090"+path, strings.NewReader(body))
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func (f *fixture) call(t *testing.T, status int, line, body string, headers ...string) string {
	resp := f.ask(line, body, headers...)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, status, resp.StatusCode, "%s %s %q: %s", line, body, headers, text)
	return string(text)
}

func (f *fixture) get(t *testing.T, path string) string {
	return f.call(t, 200, "GET "+path, "")
}

// letters are six dead letters, an hour apart; the last died an hour ago.
func letters() (all []queue.DeadLetter) {
	for i, event := range []string{
		`{"event_type":"users.messages.email.Open","user":{"user_id":"u"}}`,
		`{"event\u005ftype":"users.messages.email.Click","user":{"user_id":"u"}}`,
		`{"event_type":5,"user":{}}`,
		`no JSON`,
		`{"event_type":"users.messages.sms.Send","user":{"user_id":"u"}}`,
		`{"event_type":"users.messages.email.Open","user":{"external_user_id":"x"}}`,
	} {
		all = append(all, queue.DeadLetter{
			Number: uint64(i + 1), Reason: []string{"refused", "no_identity"}[i%2], DiedAt: noon.Add(time.Duration(i-6) * time.Hour), Event: []byte(event),
		})
	}
	return all
}

func numbers(dead []queue.DeadLetter) (all []uint64) {
	for _, d := range dead {
		all = append(all, d.Number)
	}
	return all
}
