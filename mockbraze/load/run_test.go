package load

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stalling answers in a millisecond, but nobody from one instant to another.
func stalling(from, to time.Duration) http.HandlerFunc {
	start := time.Now()
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if at := time.Since(start); at >= from && at < to {
			time.Sleep(to - at)
		}
		time.Sleep(time.Millisecond)
	}
}

// The promise of the open model: a stall of two seconds is seen by all batches
// that were due in it, not only by the few that were under way.
func TestAStallCannotHide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := do(t, config(t, stalling(3*time.Second, 5*time.Second), Constant(1000), 10*time.Second))
		require.EqualValues(t, 100, r.Batches.Intended)
		require.EqualValues(t, 100, r.Batches.Started)
		require.EqualValues(t, 0, r.Batches.Dropped)
		require.EqualValues(t, 16, r.Batches.Late, "20 were due in the stall, 4 of them started")
		require.InDelta(t, 2000, r.Latency.Intended.Max, 10)
		require.Greater(t, r.Latency.Intended.P99, 1800.0)
		require.Greater(t, r.Latency.Intended.P90, 900.0, "a fifth waited, evenly from 2 s to 0")
		require.Less(t, r.Latency.Service.P50, 10.0)
		require.Less(t, r.Latency.Service.P95, 10.0, "only 4 of 100 were under way")
		require.Equal(t, "open", r.Model)
		require.InDelta(t, 1000, r.Rate.Reached, 1)
		require.InDelta(t, 1000, r.Rate.Wanted, 1)

		require.Len(t, r.Series, 10)
		require.EqualValues(t, 1000, r.Series[0].Sent)
		require.EqualValues(t, 400, r.Series[3].Sent)
		require.EqualValues(t, 0, r.Series[4].Sent)
		require.EqualValues(t, 2600, r.Series[5].Sent, "late starts are made at once")
		require.EqualValues(t, 1000, r.Series[6].Sent)
		require.Greater(t, r.Series[5].P99, 1000.0)
		require.Less(t, r.Series[6].P99, 10.0)
	})
}

// Every batch starts at its instant to the nanosecond where nothing holds it up.
func TestStartsNeitherDriftNorBunch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var arrivals []time.Duration
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			arrivals = append(arrivals, time.Since(start))
			mu.Unlock()
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Millisecond)
		}, Constant(300), time.Minute)
		r := do(t, cfg)
		require.Len(t, arrivals, 180)
		for i, at := range arrivals {
			require.InDelta(t, float64(i)*float64(time.Second)/3, float64(at), 10)
		}
		require.EqualValues(t, 0, r.Batches.Late)
		require.InDelta(t, 1, r.Latency.Intended.P99, 0.01)
		require.EqualValues(t, 18_000, r.Events.Acked)
	})
}

func TestWhatIsNotBegunByTheEndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Second)
		}, Constant(1000), 5*time.Second)
		cfg.Connections = 1
		cfg.Thresholds = conditions(t, "dropped==45,late==4,dropped<50%,errors==0")
		r := do(t, cfg)
		require.EqualValues(t, BatchCounts{Intended: 50, Started: 5, Late: 4, Dropped: 45}, r.Batches)
		require.InDelta(t, 100, r.Rate.Reached, 0.1)
		require.InDelta(t, 1000, r.Rate.Wanted, 0.1)
		require.Equal(t, []bool{true, true, false, true}, oks(r))
		require.Equal(t, "90.000%", r.Thresholds[2].Actual)
		require.False(t, r.Passed())
	})
}

func oks(r *Report) (all []bool) {
	for _, t := range r.Thresholds {
		all = append(all, t.OK)
	}
	return all
}

func TestClosedModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(100 * time.Millisecond)
		}, Max{}, 10*time.Second)
		cfg.WarmUp = 5 * time.Second
		r := do(t, cfg)
		require.Equal(t, "closed", r.Model)
		require.EqualValues(t, 200, r.Batches.Started, "4 connections, 10 a second each, 5 seconds")
		require.EqualValues(t, BatchCounts{Intended: 200, Started: 200}, r.Batches)
		require.EqualValues(t, 20_000, r.Warmed.Acked)
		require.InDelta(t, 100, r.Latency.Intended.P99, 1)
		require.InDelta(t, 4000, r.Rate.Acked, 1)
	})
}

func TestEventsEndTheRun(t *testing.T) {
	for _, pacer := range []Pacer{Max{}, Constant(1000)} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(t, stalling(0, 0), pacer, 0)
			cfg.Events = 1234
			r := do(t, cfg)
			require.EqualValues(t, 1234, r.Events.Acked)
			require.EqualValues(t, 13, r.Batches.Intended)
			require.Zero(t, r.Batches.Dropped)
			if _, open := pacer.(Constant); open {
				require.InDelta(t, 1000, r.Rate.Reached, 1)
				require.InDelta(t, 1000, r.Rate.Wanted, 1, "the last batch is not full")
			}
		})
	}
}

// What a target that never answers keeps back is told while the run goes on.
func TestTheLiveFiguresTellOfATargetThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, Constant(1000), 20*time.Second)
		cfg.Timeout = time.Minute
		cfg.AbortOn = conditions(t, "late>50%")
		run, err := New(cfg)
		require.NoError(t, err)
		var running sync.WaitGroup
		var r *Report
		running.Go(func() { r, err = run.Do(t.Context()) })
		time.Sleep(5050 * time.Millisecond)
		p, ok := run.Now()
		require.True(t, ok)
		require.Greater(t, p.P50, 4000.0, "four batches wait for their answers")
		require.EqualValues(t, 50-4, p.Late, "due in 4.95 s; four have begun")
		running.Wait()
		require.NoError(t, err)
		require.Contains(t, r.Abort, "late>50%")
		require.Less(t, r.Seconds, 16.0)
	})
}

func TestWarmUpIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if time.Since(start) < 2*time.Second-10*time.Millisecond {
				time.Sleep(300 * time.Millisecond)
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}, Constant(1000), 10*time.Second)
		cfg.WarmUp = 2 * time.Second
		r := do(t, cfg)
		require.Equal(t, EventCounts{Sent: 8000, Acked: 8000}, r.Events)
		require.EqualValues(t, 2000, r.Warmed.Refused)
		require.EqualValues(t, 80, r.Batches.Intended)
		require.Equal(t, map[string]uint64{"200": 80}, r.Statuses)
		require.Less(t, r.Latency.Intended.Max, 10.0)
		require.InDelta(t, 1000, r.Rate.Reached, 0.1)
		require.True(t, r.Series[1].WarmUp)
		require.False(t, r.Series[2].WarmUp)
	})
}

// A target that takes a quarter of what is wanted is still busy with the warm-up
// when that is over. The figures have few batches then, and the rate is right.
func TestOverloadInTheWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(400 * time.Millisecond) // 4 connections: ten batches a second
		}, Constant(4000), 8*time.Second)
		cfg.WarmUp = 2 * time.Second
		cfg.Thresholds = conditions(t, "rate>=950,rate<=1050")
		r := do(t, cfg)
		require.EqualValues(t, 8000, r.Warmed.Sent, "all that was due in the warm-up")
		require.Zero(t, r.Events.Sent, "no more had its turn")
		require.InDelta(t, 4000, r.Rate.Wanted, 1)
		require.InDelta(t, 1000, r.Rate.Reached, 50)
		require.InDelta(t, 1000, r.Rate.Acked, 50)
		require.Equal(t, []bool{true, true}, oks(r))

		var text, page bytes.Buffer
		require.NoError(t, r.WriteText(&text))
		require.NoError(t, r.WriteHTML(&page))
		for _, out := range []string{text.String(), page.String()} {
			require.Contains(t, out, "240 of the 240 batches due after the warm-up had not begun by the end")
		}
	})
}

func TestAbortWhenHopeless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if time.Since(start) > 20*time.Second {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}, Constant(1000), 5*time.Minute)
		cfg.AbortOn = conditions(t, "p99>10s,errors>50%")
		r := do(t, cfg)
		require.Contains(t, r.Abort, "errors>50%")
		require.False(t, r.Passed())
		require.InDelta(t, 26, r.Seconds, 2, "when half of the last ten seconds is bad")
		require.Zero(t, r.Batches.Dropped, "what was due later was not intended")
		require.InDelta(t, 10*r.Seconds, float64(r.Batches.Intended), 2)
	})
}

// A target that never answers is found out by those that wait.
func TestAbortOnWhatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		defer close(leave)
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-leave
		}, Constant(1000), 5*time.Minute)
		cfg.Timeout = time.Hour
		cfg.AbortOn = conditions(t, "p99>12s")
		r := do(t, cfg)
		require.Contains(t, r.Abort, "p99>12s")
		require.InDelta(t, 12+grace.Seconds(), r.Seconds, 2)
		require.EqualValues(t, 4, r.Failures["cut off at the end"])
	})
}

func TestInterruptedRunsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			time.Sleep(time.Second)
		}, Constant(100), time.Minute)
		cfg.Thresholds = conditions(t, "errors==0,dropped==0")
		run, err := New(cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 4500*time.Millisecond)
		defer cancel()
		r, err := run.Do(ctx)
		require.NoError(t, err)
		require.True(t, r.Interrupted)
		require.EqualValues(t, BatchCounts{Intended: 5, Started: 5}, r.Batches)
		require.EqualValues(t, 500, r.Events.Acked, "the answer that was due is waited for")
		require.InDelta(t, 5, r.Seconds, 0.1)
		require.True(t, r.Passed(), "%v", r.Thresholds)
	})
}

func TestRequestsAreThoseOfCurrents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		types := map[string]int{}
		headers := http.Header{}
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			events, _ := decodeBatch(t, body)
			for _, e := range events {
				types[e.Type]++
				if e.Type != events[0].Type {
					types["mixed"]++
				}
			}
			headers = r.Header
			headers.Set("query", r.URL.RawQuery)
		}, Constant(1000), 4*time.Second)
		cfg.Token = "t0ken"
		cfg.Batch = 50
		r := do(t, cfg)
		require.EqualValues(t, 80, r.Batches.Started)
		require.Equal(t, map[string]int{"users.messages.email.Open": 2000, "users.messages.email.Click": 2000}, types)
		require.Equal(t, "Bearer t0ken", headers.Get("Authorization"))
		require.Equal(t, "application/json", headers.Get("Content-Type"))
		require.Equal(t, "1", headers.Get("Braze-Currents-Version"))
		require.Equal(t, "writeKey=sEcReT", headers.Get("query"))
	})
}

func TestAnswersAreBookedAndNothingIsSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			switch n.Add(1) {
			case 1:
				w.WriteHeader(http.StatusNoContent)
			case 2:
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			case 3:
				w.WriteHeader(http.StatusTooManyRequests)
			case 4:
				panic(http.ErrAbortHandler)
			case 5:
				<-r.Context().Done()
			}
		}, Constant(100), 10*time.Second)
		cfg.Connections, cfg.Timeout = 2, 2*time.Second
		cfg.Thresholds = conditions(t, "errors==400,errors==40%,acked==600,late==0,rate>=100,service_max<3s")
		r := do(t, cfg)
		require.EqualValues(t, 10, n.Load())
		require.Equal(t, EventCounts{Sent: 1000, Acked: 600, Refused: 200, Failed: 200}, r.Events)
		require.Equal(t, map[string]uint64{"204": 1, "200": 5, "307": 1, "429": 1}, r.Statuses)
		require.Equal(t, map[string]uint64{"time-out": 1, "connection closed": 1}, r.Failures)
		require.Equal(t, []bool{true, true, true, true, true, true}, oks(r), "%v", r.Thresholds)
	})
}
