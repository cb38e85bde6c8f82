package delivery

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// at is a time of these tests.
func at(seconds float64) time.Time {
	return clock(time.Duration(seconds * float64(time.Second)))
}

func testEvidence() *evidence {
	c := config.Connector{Backoff: config.Backoff{Min: time.Second, Max: 30 * time.Second}, BatchEvents: 100}
	return newEvidence(c, rand.New(constant(1<<52)), at(0))
}

// takes has the destination accept a fresh request.
func (e *evidence) takes(second float64) {
	e.judge(&trial{}, 100, response{kind: accepted, began: at(second), ended: at(second)}, time.Hour)
}

// untilAction has a request of n events fail every step seconds, beside others that
// are accepted where the destination is well. It returns after how many failures
// the request is split or its event dies, 0: never, and the destination's state.
func untilAction(t *testing.T, status int, body string, well bool, n int, step float64) (count int, state string) {
	e, tr := testEvidence(), &trial{}
	for i := range 100 {
		if well {
			e.takes(-float64(100 - i)) // nothing fails else
		}
	}
	for i := range 60 {
		now := float64(i) * step
		act := e.judge(tr, n, response{
			kind: classify(status, body, false), own: inOwnWords(status, body), status: status, began: at(now), ended: at(now),
		}, time.Hour)
		if act == split || act == die {
			return i + 1, e.state
		}
		require.Equal(t, retry, act)
		require.False(t, tr.next.Before(at(now).Add(time.Second/2)), "with backoff")
		if well {
			for j := range 3 {
				e.takes(now + step*float64(j+1)/5)
			}
		}
	}
	return 0, e.state
}

// TestEveryRowOfTheTable is the table of evidence.go: a response, what came before
// it, and what becomes of the events.
func TestEveryRowOfTheTable(t *testing.T) {
	for _, row := range casefile.Read(t, "testdata/table.tsv", 4) {
		status, err := strconv.Atoi(row[0])
		require.NoError(t, err)
		for i, well := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d %.9q/well=%v", status, row[1], well), func(t *testing.T) {
				halved, _ := untilAction(t, status, row[1], well, 100, 1)
				dead, _ := untilAction(t, status, row[1], well, 1, 1)
				late, state := untilAction(t, status, row[1], well, 1, 3600.0/5)
				require.Equal(t, row[2+i], fmt.Sprintf("%d %d %d %s", halved, dead, late, state))
			})
		}
	}
}

// Only what other requests show between two failures makes the second one count.
func TestOnlyAcceptancesBetweenMakeFailuresCount(t *testing.T) {
	e, tr := testEvidence(), &trial{}
	fail := func(second float64) {
		e.judge(tr, 1, response{kind: failed, began: at(second), ended: at(second + 0.1)}, time.Hour)
	}
	e.takes(0)
	fail(1)
	fail(2)
	require.Equal(t, 1, tr.count, "nothing was accepted between")
	e.judge(&trial{}, 100, response{kind: accepted, began: at(2.05), ended: at(2.5)}, time.Hour)
	fail(3)
	require.Equal(t, 1, tr.count, "that one began before the failure ended")
	e.takes(4)
	e.judge(&trial{}, 100, response{kind: accepted, began: at(2), ended: at(4.5)}, time.Hour)
	fail(5)
	require.Equal(t, 2, tr.count, "a slow one hides no other")
	e.probeBegan = at(6)
	fail(7)
	require.Equal(t, 2, tr.count, "a probe is evidence for refusals in RudderStack's words alone")
}

// Neither a 429 nor the failure of a request that was sent compressed says anything
// of the events, before they were refused or after.
func TestWhatSaysNothingOfTheEvents(t *testing.T) {
	for _, nothing := range []response{{kind: limited}, {kind: failed, compressed: true}} {
		e, tr := testEvidence(), &trial{}
		fail := func(second float64, o response) action {
			e.takes(second - 0.5)
			o.began, o.ended = at(second), at(second)
			return e.judge(tr, 1, o, time.Hour)
		}
		for i := range 20 {
			fail(float64(i), nothing)
		}
		require.Zero(t, tr.count)
		for i := range 20 {
			require.Equal(t, retry, fail(100+float64(i), response{kind: turnedAway}), "not for an hour yet")
		}
		require.Equal(t, retry, fail(7200, nothing))
		require.Equal(t, die, fail(7300, response{kind: turnedAway}))
	}
	e := testEvidence()
	rate := e.rate()
	e.judge(&trial{}, 100, response{kind: limited, began: at(0), ended: at(0)}, time.Hour)
	require.Equal(t, rate, e.rate(), "else bad events would be found later beside a limiter")
}

// A Retry-After of a 429 is for all, whichever request was told so. Another one may
// be for the request alone where that is suspected, and must not hold up others.
func TestRetryAfterOfASuspect(t *testing.T) {
	e, tr := testEvidence(), &trial{}
	fail := func(second float64, k kind, after time.Duration) {
		e.judge(tr, 1, response{kind: k, began: at(second), ended: at(second), retryAfter: after}, time.Hour)
	}
	for i := range 3 {
		e.takes(float64(i))
		fail(float64(i)+0.5, failed, 0)
	}
	fail(600, failed, time.Minute)
	require.Zero(t, e.floor)
	e.takes(699)
	require.Equal(t, StateOK, e.state)
	fail(700, limited, time.Minute)
	require.Equal(t, at(760), e.floor)
	require.Equal(t, StateBackingOff, e.state, "an operator sees why nothing is sent")
	fail(701, limited, time.Second)
	require.Equal(t, at(760), e.floor, "of two requests at once the longer wait counts")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 90 ": 90 * time.Second, "-1": 0, "soon": 0, "1.5": 0,
		"301": 5 * time.Minute, "99999999999999999999999": 5 * time.Minute,
		now.Add(30 * time.Second).Format(http.TimeFormat): 30 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.AddDate(9, 0, 0).Format(http.TimeFormat):      5 * time.Minute,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {text}}, now), text)
	}
	wrong := now.Add(3 * time.Hour) // our clock
	header := http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}, "Date": {now.Format(http.TimeFormat)}}
	require.Equal(t, time.Minute, retryAfter(header, wrong))
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[int]string{0: "none", 99: "other", 103: "1xx", 200: "2xx", 399: "3xx", 404: "4xx", 599: "5xx", 600: "other"} {
		require.Equal(t, want, statusClass(status))
	}
}
