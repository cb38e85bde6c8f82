package crash

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

var (
	kills = flag.Int("kills", 0, "how often TestKills kills the bridge; 0: once at each point and a few times more")
	seed  = flag.Uint64("seed", 1, "seed of what is drawn at random; moments still depend on the machine")
)

const (
	pointTimeout = 15 * time.Second // for the bridge to reach its point

	// Settings of the bridge; the bound of duplicates follows from the first two.
	concurrency = 2
	batchEvents = 40
	inFlight    = concurrency * batchEvents
	writeKey    = "wk"
	brazeRate   = 400 // events a second for each connector
)

type connector struct {
	name, missing string
	mode          harness.Mode
	source        mockrudder.Kind
}

func connectors() []connector {
	return []connector{
		{"events", "deliver", harness.ModeEvents, mockrudder.HTTP},
		{"webhook", "deliver", harness.ModeWebhook, mockrudder.Braze},
		{"strict", "drop", harness.ModeEvents, mockrudder.HTTP},
	}
}

func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: the crash suite runs real processes for half a minute; leave out -short")
	}
	points := crashpoint.Points()
	n := *kills
	if n == 0 {
		n = len(points) + 5
	}
	t.Parallel()
	r := newKillRun(t)
	for todo := plan(max(n, 1), r.rng); len(todo) > 0; todo = todo[1:] {
		if again := todo[0]; !r.life(todo[0]) {
			again.tries++
			again.pass, again.after = 1, again.after/2
			require.Less(t, again.tries, 5, "%s is never reached", again.name())
			todo = append(todo, again)
		}
		t.Logf("%d kills, %d left", r.killed(), len(todo)-1)
	}
	r.finish()
	for _, point := range points[:min(n, len(points))] {
		require.NotZero(t, r.hits[point], "%s was never reached", point)
	}
}

type killRun struct {
	*testing.T
	rng    *rand.Rand
	dir    string
	began  time.Time
	sides  []*side
	listen string        // where each bridge takes events
	ending chan struct{} // closed when Braze is to stop
	done   sync.WaitGroup

	hits map[string]int // kills, by where they happened
}

// side is the fakes on both sides of one connector.
type side struct {
	connector
	rudder  *rudder
	server  *httptest.Server // of the rudder, while the bridge runs
	current *mockbraze.Connector
	ledger  harness.Ledger // as it was last seen
}

func newKillRun(t *testing.T) *killRun {
	r := &killRun{
		T: t, rng: rand.New(rand.NewPCG(*seed, 0)), dir: t.TempDir(), hits: map[string]int{}, ending: make(chan struct{}),
	}
	build(t)
	ports, err := bridgeproc.FreePorts(1)
	require.NoError(t, err)
	r.listen = ports[0]
	for _, c := range connectors() {
		s := &side{connector: c, rudder: newRudder(t, c, *seed)}
		s.current, err = mockbraze.Start(t, mockbraze.WithSeed(*seed)).Create(mockbraze.Current{
			Name: c.name, URL: "http://" + r.listen + "/currents/" + c.name, Token: "token-of-" + c.name, Events: mockbraze.All,
			Connections: 4, FlushAfter: 50 * time.Millisecond, Backoff: mockbraze.Backoff{First: 5 * time.Millisecond, Max: 50 * time.Millisecond},
		})
		require.NoError(t, err)
		r.sides = append(r.sides, s)
	}
	return r
}

func (r *killRun) send(s *side) {
	require.NoError(r, s.current.Launch(r.Context()))
	r.done.Go(func() {
		for {
			select {
			case <-r.ending:
				return
			case <-r.Context().Done():
				return
			default:
			}
			if err := s.current.SendAt(r.Context(), brazeRate/4, brazeRate); err != nil && r.Context().Err() == nil {
				r.Errorf("Braze of %s: %v", s.name, err)
				return
			}
		}
	})
}

func (r *killRun) killed() (n int) {
	for _, hits := range r.hits {
		n += hits
	}
	return n
}

// settings are those of the bridge. History is so short and so small that it is
// pruned all the time.
func (r *killRun) settings() string {
	var out strings.Builder
	fmt.Fprintf(&out, "listen: %s\nadmin: 127.0.0.1:0\ndata_dir: %q\ngrace: 5s\n", r.listen, filepath.Join(r.dir, "data"))
	out.WriteString("retain: {age: 500ms, size: 2MiB}\nlog: {level: warn}\nconnectors:\n")
	for _, s := range r.sides {
		fmt.Fprintf(&out, "  - {name: %s, token: token-of-%s, mode: %s, missing_external_user_id: %s, rudder_url: %q, write_key: %s,\n",
			s.name, s.name, s.mode, s.missing, s.server.URL, writeKey)
		fmt.Fprintf(&out, "     concurrency: %d, batch_events: %d, dedupe_window: 8000, timeout: 30s, gzip: \"off\", backoff: {min: 5ms, max: 50ms}}\n",
			concurrency, batchEvents)
	}
	return out.String()
}

// start starts the bridge, each time with its own servers of RudderStack: once they
// are closed, nothing of this bridge can arrive any more.
func (r *killRun) start(armed string) *bridgeproc.Process {
	for _, s := range r.sides {
		s.server = s.rudder.serve()
	}
	return launch(r.T, build(r.T).armed, r.dir, r.settings(), armed)
}

func (r *killRun) open() {
	if r.began.IsZero() {
		r.began = time.Now()
		for _, s := range r.sides {
			r.send(s)
		}
	}
}

// life starts the bridge and kills it; false: the kill was missed, because the
// bridge did not reach its point and was killed all the same, or because it had
// stopped before.
func (r *killRun) life(k kill) bool {
	p := r.start(k.armed())
	if k.point == "" && !k.stop {
		defer time.AfterFunc(k.after, p.Kill).Stop()
	}
	late := time.NewTimer(pointTimeout)
	defer late.Stop()
	name := k.name()
	select {
	case <-p.Ready:
		r.open()
		r.work(p, k)
	case <-p.Gone:
	case <-late.C:
	}
	select {
	case <-p.Gone:
	case <-late.C:
		name = tooLate
		p.Kill()
	}
	killed := wasKilled(r.T, p, k.stop && k.point == "")
	for _, s := range r.sides {
		s.server.Close()
		s.rudder.lost(inFlight)
	}
	if killed {
		r.hits[name]++
	}
	return killed && name != tooLate
}

// tooLate is where a kill happened whose point was not reached in time.
const tooLate = "too late for its point"

// work does an operator's work at a bridge that is ready, and stops it if the kill says so.
func (r *killRun) work(p *bridgeproc.Process, k kill) {
	ctx, cancel := context.WithTimeout(r.Context(), pointTimeout)
	defer cancel()
	for again := true; again; again = strings.HasPrefix(k.point, "dead.") && wait(ctx, 50*time.Millisecond) {
		_, err := r.operate(ctx, p)
		if err == nil {
			continue
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			select {
			case <-p.Gone: // the kill has made the error
			case <-time.After(time.Minute):
				require.NoError(r, err, "%s", p.Log())
			}
		}
		return
	}
	if !k.stop {
		return
	}
	wait(ctx, 100*time.Millisecond) // there has to be something to stop
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	if k.point == "" {
		wait(ctx, k.after)
		p.Kill()
	}
}

// wait says whether it waited to the end.
func wait(ctx context.Context, d time.Duration) bool {
	short, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-short.Done()
	return ctx.Err() == nil
}

// operate compares the ledgers with what is known, and replays the dead letters that
// RudderStack has refused. It returns how many events are pending or were
// moved; the error is only that the bridge does not answer.
func (r *killRun) operate(ctx context.Context, p *bridgeproc.Process) (left int64, err error) {
	for _, s := range r.sides {
		acked := s.current.Report().Counts.Sent
		l, err := harness.ReadLedger(ctx, p.Admin, s.name)
		if err != nil {
			return 0, err
		}
		require.NoError(r, l.Check(), s.name)
		for what, pair := range map[string][2]int64{
			"received": {s.ledger.Received, l.Received}, "duplicates": {s.ledger.Duplicates, l.Duplicates},
			"accepted": {s.ledger.Accepted, l.Accepted}, "filtered": {s.ledger.Filtered, l.Filtered},
			"delivered": {s.ledger.Delivered, l.Delivered}, "acknowledged, as received": {acked, l.Received},
		} {
			require.LessOrEqual(r, pair[0], pair[1], "%s: %s went back", s.name, what)
		}
		s.ledger = l
		var answer struct{ Moved int64 }
		if err := jsoncall.Do(ctx, http.MethodPost, p.Admin+"/api/dead/replay?reason=refused&connector="+s.name, nil, &answer); err != nil {
			return 0, err
		}
		left += l.Pending + answer.Moved
	}
	return left, nil
}

func (r *killRun) finish() {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Minute)
	defer cancel()
	for _, s := range r.sides {
		s.rudder.calm.Store(true)
	}
	p := r.start("")
	require.NoError(r, p.AwaitReady(ctx))
	r.open()
	close(r.ending)
	r.done.Wait()
	for quiet := 0; quiet < 2; quiet++ { // what was moved shows as pending in the next look
		left, err := r.operate(ctx, p)
		require.NoError(r, err, "%s", p.Log())
		if left > 0 {
			quiet = -1
		}
		wait(ctx, 20*time.Millisecond)
	}
	r.Logf("%d kills in %s, seed %d: %v", r.killed(), time.Since(r.began).Round(time.Second), *seed, r.hits)
	for _, s := range r.sides {
		report := r.judge(ctx, s, p.Admin)
		r.Logf("%-8s acked %d, delivered %d, lost %d, changed %d, dead %d, filtered %d, duplicates %d of %d that kills and lost responses explain",
			s.name, report.Acked, report.Delivered, report.Lost, report.Corrupted, report.Dead, report.Filtered, report.Duplicates, report.DuplicateBound)
		for _, failure := range report.Failures {
			r.Errorf("%s: %s", s.name, failure)
		}
		require.NotZero(r, report.Duplicates, "%s: no kill has made a duplicate: none can have hit a request in flight", s.name)
	}
	require.NoError(r, p.Stop(ctx))
}

func (r *killRun) judge(ctx context.Context, s *side, admin string) harness.Report {
	counts := s.current.Report().Counts
	var sent bytes.Buffer
	require.NoError(r, mockbraze.Emit(ctx, &sent, mockbraze.Emission{Events: int(counts.Events), Seed: *seed}))
	report, err := harness.Judge(ctx, harness.Outside{
		Mode: s.mode, MissingExternalUserID: s.missing, Connector: s.name, Admin: admin,
		Sent: &sent, Received: &s.rudder.recording, Counts: counts,
		Losses: s.rudder.losses, Crashes: r.killed(), Duration: time.Since(r.began),
	})
	require.NoError(r, err)
	return report
}

// kill is one way to end the bridge: at a point, or at a moment.
type kill struct {
	point string        // empty: at the moment
	pass  int           // of the point
	after time.Duration // the moment, from the start of the process
	stop  bool          // SIGTERM is sent first, and the moment counts from then
	tries int           // how often the point was not reached
}

// passes is the highest pass of a point at which the bridge is killed. It is low
// where few batches lead there, so that every run reaches it soon.
func passes(point string) int {
	switch group, _, _ := strings.Cut(point, "."); group {
	case "start":
		return len(connectors())
	case "stop", "dead", "checkpoint", "prune":
		return 1
	}
	if point == "delivery.between-halves" {
		return 2
	}
	return 40
}

// plan returns the kills of a run in a random order: every point at least once,
// and as many at random moments as at points where there are enough. A moment is
// usually soon, start included, and at times while the bridge stops.
func plan(n int, rng *rand.Rand) []kill {
	points := crashpoint.Points()
	kills := make([]kill, n)
	for i := range kills {
		switch {
		case i < max(n/2, len(points)):
			point := points[i%len(points)]
			kills[i] = kill{point: point, pass: 1 + rng.IntN(passes(point)), stop: strings.HasPrefix(point, "stop.")}
		case rng.IntN(8) == 0:
			kills[i] = kill{stop: true, after: time.Duration(rng.Int64N(int64(30 * time.Millisecond)))}
		default:
			kills[i] = kill{after: time.Duration(rng.Int64N(int64(700 * time.Millisecond)))}
		}
	}
	rng.Shuffle(n, func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	return kills
}

func (k kill) name() string {
	switch {
	case k.point != "":
		return k.point
	case k.stop:
		return "random moment of stopping"
	}
	return "random moment"
}

// armed is what crashpoint.Env is set to; empty for a moment.
func (k kill) armed() string {
	if k.point == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", k.point, k.pass)
}
