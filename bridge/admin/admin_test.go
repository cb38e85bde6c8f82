package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/drift"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// books is a queue with a ledger and dead letters.
type books struct {
	ledger func() queue.Ledger
	dead   []queue.DeadLetter
	diedAt time.Time // when what is replayed dies again
	moves  int       // calls of ReplayDead
	replay queue.Replay
	erase  []string // events of history
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
	return queue.Erasure{History: before - len(b.erase), Pending: 1}, b.err
}

func (b *books) Ledger() queue.Ledger { return b.ledger() }

func (b *books) Letters(_ context.Context, f queue.LetterFilter) ([]queue.DeadLetter, error) {
	limit := f.Limit
	if limit == 0 {
		limit = 1000
	}
	var out []queue.DeadLetter
	for _, l := range b.dead {
		l.Events = max(l.Events, 1)
		var scan currents.Batch
		if scan.ScanEvent(l.Event) == nil {
			text, _ := currents.AppendText(nil, scan.Events[0].Type)
			l.EventType = string(text)
		}
		switch {
		case l.Number <= f.After, f.Last > 0 && l.Number > f.Last,
			f.Numbers != nil && !slices.Contains(f.Numbers, l.Number),
			f.Reason != "" && f.Reason != l.Reason,
			!f.Since.IsZero() && l.DiedAt.Before(f.Since), !f.Until.IsZero() && !l.DiedAt.Before(f.Until):
			continue
		}
		if f.Type != "" {
			if ok, _ := path.Match(f.Type, l.EventType); !ok {
				continue
			}
		}
		if out = append(out, l); len(out) == limit {
			break
		}
	}
	return out, b.err
}

func (b *books) Summary(ctx context.Context, f queue.LetterFilter) (groups []queue.LetterGroup, err error) {
	letters, err := b.Letters(ctx, f)
	for _, l := range letters {
		groups = append(groups, queue.LetterGroup{Reason: l.Reason, EventType: l.EventType, Events: 1, Letters: 1, First: l.Number, Last: l.Number})
	}
	return groups, err
}

func (b *books) Pending(context.Context, uint64, int) ([]*queue.Record, error) {
	return []*queue.Record{{Seq: 7, Events: []queue.Event{{Index: 3, Raw: []byte(`{"id":"x"}`)}}}}, b.err
}

func (b *books) move(numbers []uint64) int {
	before := len(b.dead)
	b.dead = slices.DeleteFunc(b.dead, func(d queue.DeadLetter) bool { return slices.Contains(numbers, d.Number) })
	return before - len(b.dead)
}

func (b *books) PurgeDead(_ context.Context, numbers ...uint64) (int, error) {
	return b.move(numbers), b.err
}

// ReplayDead dead-letters every letter again, as long as nothing is repaired.
func (b *books) ReplayDead(_ context.Context, numbers ...uint64) (int, error) {
	if b.moves++; b.moves > 100 {
		return 0, errors.New("the same letters are replayed over and over")
	}
	last := b.dead[len(b.dead)-1].Number
	again := slices.DeleteFunc(slices.Clone(b.dead), func(d queue.DeadLetter) bool { return !slices.Contains(numbers, d.Number) })
	n := b.move(numbers)
	for i, letter := range again {
		b.dead = append(b.dead, queue.DeadLetter{Number: last + 1 + uint64(i), DiedAt: b.diedAt, Event: letter.Event})
	}
	return n, b.err
}

type fixture struct {
	*Admin
	usage queue.Usage
	drift []drift.Item
	about About
	a, b  *books
	gone  *books // of a connector that is not in the configuration
	state delivery.State
	log   bytes.Buffer

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

// sender is that of a connector; its state is state where that is set.
type sender struct {
	*fixture
	name  string
	state delivery.State
}

func (s sender) Resume() { s.resumed = append(s.resumed, s.name) }

func (s sender) State() delivery.State {
	if s.state.Name == "" {
		return s.fixture.state
	}
	return s.state
}

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

func newFixture(t *testing.T) *fixture {
	f := &fixture{state: delivery.State{Name: delivery.StateOK}}
	f.a = &books{ledger: func() queue.Ledger {
		return queue.Ledger{Received: 100, Duplicates: 10, Accepted: 90, Filtered: 5, Delivered: 40, Dead: 7, Purged: 3, Replayed: 2, Backfilled: 4, OldestPending: noon.Add(-90500 * time.Millisecond)}
	}}
	empty := func() queue.Ledger { return queue.Ledger{} }
	f.b, f.gone = &books{ledger: empty}, &books{ledger: empty}
	f.a.diedAt, f.b.diedAt = noon, noon
	var err error
	f.Admin, err = New(Config{
		Connectors: []Connector{
			{Name: "a", Queue: f.a, Sender: sender{fixture: f, name: "a"}},
			{Name: "b", Queue: f.b, Sender: sender{f, "b", delivery.State{Name: delivery.StatePaused, LastError: "401 Unauthorized"}}},
			{Name: "gone", Queue: f.gone, Quiet: true},
		},
		Bridge: f,
		Now:    func() time.Time { return noon },
		Log:    slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	require.NoError(t, err)
	return f
}

// get asks for a path, requires a status, and returns the body of the response, as
// do post, request and named.
func (f *fixture) get(t *testing.T, path string, status int) string {
	t.Helper()
	return f.request(t, httptest.NewRequest(http.MethodGet, path, nil), status)
}

func (f *fixture) post(t *testing.T, path string, status int) string {
	t.Helper()
	return f.request(t, httptest.NewRequest(http.MethodPost, path, nil), status)
}

func (f *fixture) request(t *testing.T, r *http.Request, status int) string {
	t.Helper()
	if r.Host == "example.com" { // the default of httptest
		r.Host = "localhost:9090"
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	require.Equal(t, status, w.Code, "%s %s: %s", r.Method, r.URL, w.Body)
	return w.Body.String()
}

func TestStatus(t *testing.T) {
	f := newFixture(t)
	body := f.get(t, "/status", 200)
	require.Equal(t, `{"connectors":[`+
		`{"name":"a","received":100,"duplicates":10,"accepted":90,"filtered":5,"delivered":40,"dead":7,"purged":3,"pending":35,"replayed":2,"backfilled":4,"oldest_pending_seconds":90.5,"destination":{"state":"ok","last_error":""},"parked":0},`+
		`{"name":"b","received":0,"duplicates":0,"accepted":0,"filtered":0,"delivered":0,"dead":0,"purged":0,"pending":0,"replayed":0,"backfilled":0,"oldest_pending_seconds":0,"destination":{"state":"paused","last_error":"401 Unauthorized"},"parked":0}`+
		`]}`, body)
}

func TestHealth(t *testing.T) {
	tests := []struct {
		name   string
		usage  queue.Usage
		status int
		body   string
	}{
		{"good, although a destination is not", queue.Usage{}, 200, `{"ready":true,"connectors":[{"name":"a","destination":{"state":"ok","last_error":""}},{"name":"b","destination":{"state":"paused","last_error":"401 Unauthorized"}}]}`},
		{"full", queue.Usage{Full: true}, 503, `{"ready":false,"reason":"queue is full",`},
		{"away", queue.Usage{Away: errors.New("no server answers")}, 503, `{"ready":false,"reason":"no server answers",`},
		{"failed", queue.Usage{Err: queue.ErrFailed}, 503, `{"ready":false,"reason":"queue's storage has failed",`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.usage = tt.usage
			body := f.get(t, "/readyz", tt.status)
			require.True(t, strings.HasPrefix(body, tt.body), body)
			f.get(t, "/livez", 200)
		})
	}
}

func gather(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			values[family.GetName()+labels(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func labels(m *dto.Metric) string {
	var text []string
	for _, l := range m.GetLabel() {
		text = append(text, l.GetValue())
	}
	return "{" + strings.Join(text, ",") + "}"
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.usage = queue.Usage{Bytes: 12, Free: 34, Limit: 56, Full: true, Damaged: 2, Scrubbed: noon, Err: queue.ErrFailed, Away: errors.New("no server answers")}
	f.b.replay = queue.Replay{Number: 1}
	values := gather(t, f.cfg.Registry)
	for name, want := range map[string]float64{
		"bridge_events_received_total{a}": 100, "bridge_events_duplicates_total{a}": 10, "bridge_events_accepted_total{a}": 90,
		"bridge_events_filtered_total{a}": 5, "bridge_events_delivered_total{a}": 40, "bridge_events_dead{a}": 7,
		"bridge_events_purged_total{a}": 3, "bridge_events_pending{a}": 35, "bridge_events_replayed_total{a}": 2, "bridge_events_backfilled_total{a}": 4,
		"bridge_oldest_pending_age_seconds{a}": 90.5, "bridge_oldest_pending_age_seconds{b}": 0,
		"bridge_destination_state{a,ok}": 1, "bridge_destination_state{a,paused}": 0, "bridge_destination_state{a,backing-off}": 0,
		"bridge_destination_state{b,ok}": 0, "bridge_destination_state{b,paused}": 1,
		"bridge_store_bytes{}": 12, "bridge_store_free_bytes{}": 34, "bridge_store_limit_bytes{}": 56, "bridge_store_full{}": 1, "bridge_store_failed{}": 1, "bridge_store_away{}": 1, "bridge_store_damaged_records{}": 2,
		"bridge_store_scrubbed_timestamp_seconds{}": float64(noon.Unix()), "bridge_replay_active{a}": 0, "bridge_replay_active{b}": 1,
	} {
		got, there := values[name]
		require.True(t, there, name)
		require.Equal(t, want, got, name)
	}
	require.NotContains(t, values, "bridge_events_received_total{gone}")
	body := f.get(t, "/metrics", 200)
	require.Contains(t, body, "bridge_events_received_total{connector=\"a\"} 100\n")
}

// TestMetricsOfOneScrapeBelongTogether has a ledger that moves each time it is
// read: were it read twice for one scrape, the sums would not hold.
func TestMetricsOfOneScrapeBelongTogether(t *testing.T) {
	f := newFixture(t)
	var n atomic.Uint64
	f.a.ledger = func() queue.Ledger {
		i := n.Add(1)
		return queue.Ledger{Received: 6 * i, Duplicates: i, Accepted: 5 * i, Filtered: i, Delivered: i, Dead: i, Purged: i}
	}
	for range 3 {
		v := gather(t, f.cfg.Registry)
		require.Equal(t, v["bridge_events_received_total{a}"], v["bridge_events_duplicates_total{a}"]+v["bridge_events_accepted_total{a}"])
		require.Equal(t, v["bridge_events_accepted_total{a}"], v["bridge_events_filtered_total{a}"]+v["bridge_events_delivered_total{a}"]+
			v["bridge_events_dead{a}"]+v["bridge_events_purged_total{a}"]+v["bridge_events_pending{a}"])
	}
}

func TestDead(t *testing.T) {
	f := newFixture(t)
	for n := range uint64(3) {
		f.a.dead = append(f.a.dead, queue.DeadLetter{Number: n + 1, ReceivedAt: noon, DiedAt: noon, Reason: "refused", Status: 400, Answer: "no <good>", Attempts: 2, Event: []byte(`{"id":"<é>"}`)})
	}
	f.b.dead = f.a.dead[:1]
	letter := func(connector, n string) string {
		return `{"connector":"` + connector + `","number":` + n + `,"received_at":"2026-01-02T12:00:00Z","died_at":"2026-01-02T12:00:00Z","reason":"refused","status":400,"answer":"no <good>","attempts":2,"events":1,"event":{"id":"<é>"},"unfit":true}`
	}
	a1, a2, a3, b1 := letter("a", "1"), letter("a", "2"), letter("a", "3"), letter("b", "1")
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + "," + b1 + `]}`},
		{"?limit=4", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + "," + b1 + `]}`},
		{"?limit=3", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + `],"next":3,"next_connector":"a"}`},
		{"?limit=2", 200, `{"dead":[` + a1 + "," + a2 + `],"next":2,"next_connector":"a"}`},
		{"?limit=2&after=2&after_connector=a", 200, `{"dead":[` + a3 + "," + b1 + `]}`},
		{"?after=3&after_connector=a", 200, `{"dead":[` + b1 + `]}`},
		{"?after=1&after_connector=b", 200, `{"dead":[]}`},
		{"?connector=a&limit=3", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + `]}`},
		{"?connector=a&after=1&limit=1", 200, `{"dead":[` + a2 + `],"next":2}`},
		{"?connector=a&after=3", 200, `{"dead":[]}`},
		{"?connector=b", 200, `{"dead":[` + b1 + `]}`},
		{"?connector=gone", 200, `{"dead":[]}`},
		{"?connector=c", 404, `{"error":"there is no connector of this name"}`},
		{"?after=1&after_connector=c", 404, `{"error":"there is no connector of the name that after_connector gives"}`},
		{"?after=1", 400, `{"error":"after needs connector, or after_connector, because each connector counts for itself"}`},
		{"?after=x", 400, `{"error":"after must be the number of a dead letter"}`},
		{"?limit=0", 400, `{"error":"limit must be a number from 1 to 1000"}`},
		{"?limit=1001", 400, `{"error":"limit must be a number from 1 to 1000"}`},
		{"?limit=%zz", 400, `{"error":"the body or the query is no form"}`},
		{"/2", 200, a2},
		{"/1?connector=b", 200, b1},
		{"/1", 409, `{"error":"several connectors have a letter of this number, name one of them: a, b"}`},
		{"/4", 404, `{"error":"there is no dead letter 4"}`},
		{"/2?connector=c", 404, `{"error":"there is no connector of this name"}`},
		{"/0", 400, `{"error":"this is not the number of a dead letter"}`},
		{"/x", 400, `{"error":"this is not the number of a dead letter"}`},
	}
	for _, tt := range tests {
		body := f.get(t, "/api/dead"+tt.path, tt.status)
		require.Equal(t, tt.body, strings.TrimSpace(body), tt.path)
		require.True(t, json.Valid([]byte(body)))
	}
	f.a.err = errors.New("disk on fire")
	f.get(t, "/api/dead", 500)
	require.Contains(t, f.log.String(), "disk on fire")
}

// encoding/json goes 10,000 levels deep; an event may go deeper.
func TestDeadEventThatIsNestedTooDeeply(t *testing.T) {
	f := newFixture(t)
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	f.a.dead = []queue.DeadLetter{{Number: 1, Event: []byte(deep)}}
	body := f.get(t, "/api/dead", 200)
	var answer struct{ Dead []struct{ Event string } }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, deep, answer.Dead[0].Event)
}

func TestOtherPaths(t *testing.T) {
	f := newFixture(t)
	f.get(t, "/currents", 404)
	f.post(t, "/status", 405)
}
