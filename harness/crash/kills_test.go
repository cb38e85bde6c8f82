package crash

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	kills = flag.Int("kills", 0, "how often TestKills kills the bridge; 0: once at each point and a few times more")
	seed  = flag.Uint64("seed", 1, "seed of what is drawn at random; moments still depend on the machine")
)

// patience is how long a life may take to come to its point, and how often
// another one tries.
const (
	patience = 10 * time.Second
	maxTries = 4
)

// TestKills kills the real program.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: the crash suite runs real processes for some twenty seconds; leave out -short")
	}
	n := *kills
	if n == 0 {
		n = len(points()) + 10
	}
	require.GreaterOrEqual(t, n, len(points()), "fewer kills than there are points")
	r := newKillRun(t)
	for todo := plan(n, r.rng); len(todo) > 0; todo = todo[1:] {
		reached, err := r.life(todo[0])
		require.NoError(t, err)
		if again := todo[0]; !reached {
			again.tries++
			again.count, again.after = 1, again.after/2
			require.Less(t, again.tries, maxTries, "%s is never reached", again.name())
			todo = append(todo, again)
		}
		if done := r.kills(); done%20 == 0 {
			left := len(todo) - 1
			t.Logf("%d kills, %d left, %.1f a second", done, left, float64(done)/time.Since(r.began).Seconds())
		}
		require.NoError(t, r.books.err())
	}
	r.finish()
}

// killRun is one run of the suite.
type killRun struct {
	t        *testing.T
	rng      *rand.Rand
	books    *books
	sink     *sink
	door     *door
	braze    *braze
	operator operator
	site     site
	began    time.Time

	lives int
	hits  map[string]int // kills, by where they struck
	took  []time.Duration
}

func newKillRun(t *testing.T) *killRun {
	b, d := newBooks(), newDoor()
	r := &killRun{
		t: t, rng: rand.New(rand.NewPCG(*seed, 0)), books: b, door: d,
		operator: operator{books: b}, hits: map[string]int{},
	}
	r.sink = startSink(t, b, *seed)
	r.site = site{program: build(t), sink: r.sink, dir: t.TempDir()}
	r.braze = startBraze(t, b, d, *seed)
	r.began = time.Now()
	return r
}

func (r *killRun) kills() (n int) {
	for _, hits := range r.hits {
		n += hits
	}
	return n
}

// life starts the bridge and ends it with a strike; false: it was missed,
// because the bridge never came to its point and was killed all the same, or
// because it had stopped before.
func (r *killRun) life(s strike) (bool, error) {
	r.lives++
	p, err := r.site.start(r.lives, s.trap())
	if err != nil {
		return false, err
	}
	defer p.kill() // of no effect once it is gone
	if s.point == "" && !s.stop {
		defer time.AfterFunc(s.after, p.kill).Stop()
	}
	if s.trap() == "" && s.point != "" {
		r.sink.set(&trap{answered: s.point == postAnswered, left: s.count, kill: p.kill})
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ready:
		r.took = append(r.took, p.took)
		if err := r.work(p, s); err != nil {
			return false, err
		}
	case <-p.gone:
	case <-late.C:
	}
	name := s.name()
	select {
	case <-p.gone:
	case <-late.C:
		name = tooLate
		p.kill()
		<-p.gone
	}
	r.door.close()
	r.sink.set(nil)
	killed, err := p.killed(s.stop && s.point == "")
	if err != nil || !killed {
		return false, err
	}
	r.hits[name]++
	return name != tooLate, nil
}

// tooLate is where a kill struck that waited in vain for its point.
const tooLate = "too late for its point"

// work lets Braze and the operator at a bridge that is ready.
func (r *killRun) work(p *process, s strike) error {
	r.door.open(r.lives, p.intake)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := r.operator.look(ctx, p.admin, strings.HasPrefix(s.point, "erase."))
	select {
	case <-p.gone: // whatever went wrong, went wrong because of that
		return nil
	default:
	}
	if err != nil || !s.stop {
		return r.unlessGone(p, err)
	}
	pause(ctx, 100*time.Millisecond) // there has to be something to stop
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return r.unlessGone(p, err)
	}
	if s.point == "" {
		pause(ctx, s.after)
		p.kill()
	}
	return nil
}

// unlessGone drops an error that a bridge made which is about to be gone.
func (r *killRun) unlessGone(p *process, err error) error {
	if err == nil {
		return nil
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-p.gone:
		return nil
	case <-timer.C:
		return fmt.Errorf("the bridge does not answer its operator: %w", err)
	}
}

// finish gives the bridge a last life in peace and judges.
func (r *killRun) finish() {
	t := r.t
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r.sink.calm.Store(true)
	r.lives++
	p, err := r.site.start(r.lives, "")
	require.NoError(t, err)
	t.Cleanup(p.kill)
	require.NoError(t, p.awaitReady(ctx))
	r.took = append(r.took, p.took)
	r.door.open(r.lives, p.intake)
	require.NoError(t, r.braze.stop(ctx), p.log())
	require.NoError(t, r.operator.finish(ctx, p.admin), p.log())
	require.NoError(t, p.stop(ctx))
	r.sink.close()
	sum := r.books.settle()
	r.report(sum)
	require.NoError(t, r.books.err())
	for _, point := range points() {
		require.NotZero(t, r.hits[point], "%s was never reached", point)
	}
	require.NotZero(t, sum.duplicates, "no kill has made a duplicate: none can have struck in flight")
	require.NotZero(t, sum.dead)
	require.NotZero(t, sum.filtered)
}

func (r *killRun) report(sum result) {
	var out strings.Builder
	fmt.Fprintf(&out, "%d kills in %s, seed %d\n", r.kills(), time.Since(r.began).Round(time.Second), *seed)
	names := make([]string, 0, len(r.hits))
	for name := range r.hits {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&out, "  %-28s %4d\n", name, r.hits[name])
	}
	slices.Sort(r.took)
	fmt.Fprintf(&out, "from start to ready: median %s, max %s, of %d\n",
		r.took[len(r.took)/2].Round(time.Millisecond), r.took[len(r.took)-1].Round(time.Millisecond), len(r.took))
	out.WriteString(sum.String())
	r.t.Log(out.String())
}
