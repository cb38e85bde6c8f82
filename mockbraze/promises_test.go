package mockbraze

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOlderAccountTriesAgainForTwoDays(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: always(status)}
			c := e.launch(t, Current{OlderAccount: true})
			c.Queue(opens(100)...)
			time.Sleep(OlderRetryFor - 10*time.Minute)
			synctest.Wait()
			require.Equal(t, Running, c.State())
			batches := e.batches()
			gaps := make(map[time.Duration]bool)
			for i := range batches[1:] {
				gap := batches[i+1].at.Sub(batches[i].at)
				require.GreaterOrEqual(t, gap, 2*time.Minute)
				require.LessOrEqual(t, gap, 5*time.Minute)
				gaps[gap] = true
			}
			require.Greater(t, len(gaps), 100, "not at the same distance each time")
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, Held, c.State())
			require.EqualValues(t, 100, c.Report().Counts.Queued)
			consistent(t, c.Report())
		})
	}
}

func TestEmptyProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.launch(t, Current{EmptyProbe: true, Token: "t"})
		require.Empty(t, e.requests[0].body)
		require.Equal(t, "Bearer t", e.requests[0].header.Get("Authorization"))
	})
}

func TestRateMakesEventsHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.launch(t, Current{Rate: 20, FlushAfter: time.Minute})
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		require.InDelta(t, 20*600, c.Report().Counts.Events, 60)
		require.Positive(t, c.Report().Counts.Sent)
		require.NoError(t, c.Pause())
		was := c.Report().Counts.Events
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, was, c.Report().Counts.Events, "nothing happens while paused")
		require.NoError(t, c.Launch(t.Context()))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.InDelta(t, 1200, c.Report().Counts.Events-was, 30, "no burst for the time of the pause")
		require.NoError(t, c.SetRate(0))
		was = c.Report().Counts.Events
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, was, c.Report().Counts.Events)
		consistent(t, c.Report())
	})
}

func TestRateStaysWithinTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(503)}
		c := e.launch(t, Current{Rate: 1000, Window: 500})
		// Long enough to fill the window many times over, and short enough that
		// a workspace without one is seen soon.
		for range 20 {
			time.Sleep(time.Second)
			synctest.Wait()
			require.LessOrEqual(t, c.Report().Counts.Queued, int64(500+chunk))
		}
		require.GreaterOrEqual(t, c.Report().Counts.Queued, int64(500), "the window is never full")
	})
}

// Neither the token nor the write key comes back, though the endpoint repeats
// both and the connection's error holds the URL.
func TestSecretsNeverComeBack(t *testing.T) {
	echo := httptest.NewServer(echoing())
	defer echo.Close()
	dead := httptest.NewServer(echoing())
	dead.Close()
	for _, to := range []string{echo.URL, dead.URL} {
		h := Start(t).Handler()
		body := `{"url":"` + to + `/v1?writeKey=wk-s3cret&your_app_group_key=Brand%20A","token":"t-s3cret"}`
		for _, c := range [][3]string{
			{"POST", "/api/currents", body}, {"POST", "/api/currents/test", body}, {"POST", "/api/currents/1/test"},
			{"POST", "/api/currents/1/launch"}, {"GET", "/api/currents"}, {"GET", "/api/currents/1"},
			{"PATCH", "/api/currents/1", `{"url":"ftp://x?writeKey=wk-s3cret"}`}, {"POST", "/api/currents", `{"url":"http://%zz?writeKey=wk-s3cret"}`},
		} {
			_, answer := control(t, h, c[0], c[1], c[2])
			text, err := json.Marshal(answer)
			require.NoError(t, err)
			require.NotContains(t, string(text), "s3cret", "%s %s", c[0], c[1])
		}
		_, answer := control(t, h, "GET", "/api/currents/1", "")
		require.Contains(t, answer["url"], "writeKey=****&your_app_group_key=Brand%20A")
	}
}

func TestDeleteEndsACurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(503)}
		s := e.open(t)
		c := s.Launch(Current{URL: "http://x.example"})
		c.Queue(opens(100)...)
		time.Sleep(time.Minute)
		require.True(t, s.Delete(c.ID()))
		require.False(t, s.Delete(c.ID()))
		synctest.Wait()
		tried := len(e.batches())
		time.Sleep(day)
		synctest.Wait()
		require.Len(t, e.batches(), tried)
		require.ErrorIs(t, c.Send(t.Context(), 1), ErrClosed)
		next, err := s.Create(Current{URL: "http://x.example"})
		require.NoError(t, err)
		require.Equal(t, "2", next.ID(), "an id is not given twice")
	})
}

func TestNarrowedSendsRepeatNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		s := e.open(t)
		s.Launch(Current{URL: "http://x.example", Events: []string{"users.messages.email.*"}})
		h := s.Handler()
		for range 3 {
			for _, query := range []string{"", "&types=users.messages.email.Open", "&types=users.messages.email.*"} {
				code, _ := control(t, h, "POST", "/api/currents/1/send?events=150"+query, "")
				require.Equal(t, 200, code)
			}
		}
		seen := make(map[string]bool)
		for _, r := range e.batches() {
			for _, id := range r.ids {
				require.False(t, seen[id], id)
				seen[id] = true
			}
		}
		require.Len(t, seen, 9*150)
	})
}

func TestReportSaysWhyByType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(400)}
		c := e.launch(t, Current{})
		require.ErrorIs(t, c.SendEvents(t.Context(), opens(3)...), ErrDropped)
		r := c.Report()
		require.Equal(t, map[string]TypeCounts{"users.messages.email.Open": {Events: 3, Split: 1, Dropped: map[Reason]int64{Refused: 3}}}, r.ByType)
		require.EqualValues(t, 4, r.Latency.Count)
		require.Equal(t, "Bad Request", r.Answers[len(r.Answers)-1].Body)
		var requests, failed int64
		for _, s := range c.Seconds() {
			requests, failed = requests+s.Requests, failed+s.Failed
		}
		require.Equal(t, [2]int64{4, 4}, [2]int64{requests, failed})
	})
}

// echoing answers with what it should keep to itself.
func echoing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.URL.RawQuery, r.Header.Get("Authorization"))
	})
}
