package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func testPacing() pacing {
	return pacing{
		min: 500 * time.Millisecond, max: 25 * time.Second, pause: 15 * time.Second,
		random: func() float64 { return 1 },
	}
}

func TestBackoffDoublesToItsBound(t *testing.T) {
	p := testPacing()
	for n, want := range map[int]time.Duration{
		1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 6: 16 * time.Second,
		7: 25 * time.Second, 8: 25 * time.Second, 1_000_000_000: 25 * time.Second,
	} {
		require.Equal(t, want, p.backoff(n), "failure %d", n)
	}
}

func TestBackoffJittersOverTheWholeBound(t *testing.T) {
	p := testPacing()
	for _, r := range []float64{0, 0.25, 0.999} {
		p.random = func() float64 { return r }
		require.Equal(t, time.Duration(r*float64(2*time.Second)), p.backoff(3))
	}
}

func TestBackoffNeverAboveMaxEvenWhereMinIs(t *testing.T) {
	p := pacing{min: time.Hour, max: time.Second, random: func() float64 { return 1 }}
	require.Equal(t, time.Second, p.backoff(1))
}

// step is one thing that happens to a pacer, at a second of its life.
type step struct {
	at    float64 // seconds
	took  float64 // the try began that long before
	what  string  // grant, or a verdict: 503, 429, 401, ok, 400
	from  int     // number of the grant it answers, from 0
	after float64 // Retry-After, in seconds

	state string  // afterwards
	next  float64 // NextTry afterwards, in seconds; 0: none
}

func TestPacerOpensAndCloses(t *testing.T) {
	playPacers(t, map[string][]step{
		"success changes nothing": {
			{at: 1, what: "grant", state: "ok"},
			{at: 2, what: "ok", state: "ok"},
		},
		"two failures do not open, the third does": {
			{at: 1, what: "grant", state: "ok"},
			{at: 1, what: "503", state: "backing-off"},
			{at: 2, what: "grant", state: "backing-off"},
			{at: 2, what: "503", from: 1, state: "backing-off"},
			{at: 4, what: "grant", state: "backing-off"},
			{at: 4, what: "503", from: 2, state: "backing-off", next: 6},
		},
		"a success between failures starts the count anew": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{what: "grant", state: "ok"},
			{at: 1, what: "503", state: "backing-off"},
			{at: 1, what: "503", from: 1, state: "backing-off"},
			{at: 1, what: "ok", from: 2, state: "ok"},
			{at: 1, what: "503", from: 3, state: "backing-off"},
		},
		"what failed together counts once": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 1, what: "503", state: "backing-off"},
			{at: 1, what: "503", from: 1, state: "backing-off"},
			{at: 1, what: "503", from: 2, state: "backing-off", next: 3},
			{at: 1, what: "503", from: 3, state: "backing-off", next: 3},
			{at: 1, what: "ok", from: 4, state: "backing-off", next: 3}, // begun before it opened
			{at: 3, what: "grant", state: "backing-off", next: 3},
			{at: 3, what: "503", from: 5, state: "backing-off", next: 7}, // the fourth in a row
		},
		"a probe that works closes": {
			{what: "grant", state: "ok"},
			{at: 1, what: "429", after: 5, state: "backing-off", next: 6},
			{at: 6, what: "grant", state: "backing-off", next: 6},
			{at: 7, what: "ok", from: 1, state: "ok"},
		},
		"a probe that is refused shows that the destination works": {
			{what: "grant", state: "ok"},
			{at: 1, what: "429", after: 5, state: "backing-off", next: 6},
			{at: 6, what: "grant", state: "backing-off", next: 6},
			{at: 7, what: "400", from: 1, state: "ok"},
		},
		"waits count from the start of the try": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 25, took: 25, what: "503", state: "backing-off"},
			{at: 25, took: 25, what: "503", from: 1, state: "backing-off"},
			{at: 25, took: 25, what: "503", from: 2, state: "backing-off", next: 2},
		},
	})
}

func TestPacerHearsRetryAfter(t *testing.T) {
	playPacers(t, map[string][]step{
		"Retry-After is a minimum, not the wait": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 1, what: "503", state: "backing-off"},
			{at: 1, what: "503", from: 1, state: "backing-off"},
			{at: 1, what: "429", from: 2, after: 0.1, state: "backing-off", next: 3},
		},
		"a later Retry-After of a try under way is heard": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 1, what: "429", after: 5, state: "backing-off", next: 6},
			{at: 2, what: "429", from: 1, after: 60, state: "backing-off", next: 62},
		},
		"a Retry-After of an earlier round opens": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 1, what: "429", after: 5, state: "backing-off", next: 6},
			{at: 6, what: "grant", state: "backing-off", next: 6},
			{at: 6, what: "ok", from: 2, state: "ok"},
			{at: 7, what: "503", from: 1, after: 9, state: "backing-off", next: 16},
		},
	})
}

func TestPacerPauses(t *testing.T) {
	playPacers(t, map[string][]step{
		"a failure of an earlier round says nothing": {
			{what: "grant", state: "ok"}, {what: "grant", state: "ok"},
			{at: 1, what: "401", state: "paused", next: 16},
			{at: 16, what: "grant", state: "paused", next: 16},
			{at: 16, what: "ok", from: 2, state: "ok"},
			{at: 17, what: "401", from: 1, state: "ok"},
		},
		"paused, probed at its interval, and well again": {
			{what: "grant", state: "ok"},
			{at: 1, what: "401", state: "paused", next: 16},
			{at: 16, what: "grant", state: "paused", next: 16},
			{at: 16, what: "401", from: 1, state: "paused", next: 31},
			{at: 31, what: "grant", state: "paused", next: 31},
			{at: 31, what: "ok", from: 2, state: "ok"},
		},
		"from paused to backing off and back": {
			{what: "grant", state: "ok"},
			{at: 1, what: "401", state: "paused", next: 16},
			{at: 16, what: "grant", state: "paused", next: 16},
			{at: 16, what: "503", from: 1, state: "backing-off", next: 16.5},
			{at: 17, what: "grant", state: "backing-off", next: 16.5},
			{at: 17, what: "401", from: 2, state: "paused", next: 32},
		},
	})
}

func playPacers(t *testing.T, cases map[string][]step) {
	for name, steps := range cases {
		t.Run(name, func(t *testing.T) { playPacer(t, steps) })
	}
}

func playPacer(t *testing.T, steps []step) {
	origin := time.Unix(1_000_000, 0)
	at := func(s float64) time.Time { return origin.Add(time.Duration(s * float64(time.Second))) }
	verdicts := map[string]verdict{"503": retry, "429": retry, "401": misled, "ok": accepted, "400": refused}
	p := pacer{pacing: testPacing(), since: origin}
	var grants []ticket
	name := StateOK
	for i, s := range steps {
		if s.what == "grant" {
			grants = append(grants, p.grant(at(s.at)))
		} else {
			p.report(grants[s.from], outcome{
				verdict: verdicts[s.what], began: at(s.at - s.took), ended: at(s.at),
				retryAfter: time.Duration(s.after * float64(time.Second)), failed: 1, text: s.what,
			})
		}
		got := p.state()
		require.Equal(t, s.state, got.Name, "step %d", i)
		var next time.Time
		if s.next != 0 {
			next = at(s.next)
		}
		require.Equal(t, next, got.NextTry, "step %d: next try", i)
		require.Equal(t, got.Name == StateOK, got.LastError == "", "step %d: last error %q", i, got.LastError)
		if got.Name != name {
			require.Equal(t, at(s.at), got.Since, "step %d: since", i)
			name = got.Name
		}
	}
}

func TestPacerChooses(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	in := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	fresh := func(seq uint64) contender { return contender{seq: seq} }
	for name, test := range map[string]struct {
		pacer   pacer
		waiting []contender
		want    int
		ask     time.Time
	}{
		"closed, nobody waits":               {pacer{}, nil, -1, time.Time{}},
		"closed, fresh goes at once":         {pacer{}, []contender{fresh(7)}, 0, time.Time{}},
		"closed, own wait is kept":           {pacer{}, []contender{{seq: 7, again: in(3)}, {seq: 8, again: in(2)}}, -1, in(2)},
		"closed, own wait is over":           {pacer{}, []contender{{seq: 7, again: in(3)}, {seq: 8, again: now}}, 1, time.Time{}},
		"closed again since, all resume":     {pacer{round: 2}, []contender{{seq: 7, again: in(3)}}, 0, time.Time{}},
		"open, too early":                    {pacer{open: true, next: in(4)}, []contender{fresh(7)}, -1, in(4)},
		"open, a probe is under way":         {pacer{open: true, probing: true}, []contender{fresh(7)}, -1, time.Time{}},
		"open, nobody waits":                 {pacer{open: true, next: in(4)}, nil, -1, time.Time{}},
		"open, the oldest":                   {pacer{open: true}, []contender{fresh(9), fresh(7), fresh(8)}, 1, time.Time{}},
		"open, the oldest whatever its wait": {pacer{open: true}, []contender{fresh(9), {seq: 7, again: in(9), fails: 4}}, 1, time.Time{}},
		"open, second probe another":         {pacer{open: true, probes: 1}, []contender{{seq: 9, fails: 1}, {seq: 7, fails: 1}, {seq: 8, fails: 2}}, 0, time.Time{}},
		"open, second probe, one alone":      {pacer{open: true, probes: 1}, []contender{fresh(7)}, 0, time.Time{}},
		"open, third probe the oldest":       {pacer{open: true, probes: 2}, []contender{fresh(9), {seq: 7, fails: 3}}, 1, time.Time{}},
		"paused, always the oldest":          {pacer{open: true, paused: true, probes: 1}, []contender{fresh(9), {seq: 7, fails: 3}}, 1, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ask := test.pacer.choose(now, test.waiting)
			require.Equal(t, test.want, got)
			require.Equal(t, test.ask, ask)
		})
	}
}

func TestPacerTakesBackWhatWasNotUsed(t *testing.T) {
	p := pacer{pacing: testPacing(), open: true}
	probe := p.grant(time.Now())
	require.True(t, p.probing)
	p.giveBack(probe)
	require.False(t, p.probing)
	i, _ := p.choose(time.Now(), []contender{{seq: 1}})
	require.Equal(t, 0, i)
}
