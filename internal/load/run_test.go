package load

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/memnet"
)

// stalling answers in a millisecond, except between two instants.
func stalling(from, to time.Duration) http.HandlerFunc {
	start := time.Now()
	return func(http.ResponseWriter, *http.Request) {
		if at := time.Since(start); at >= from && at < to {
			time.Sleep(to - at)
		}
		time.Sleep(time.Millisecond)
	}
}

func taking(d time.Duration) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { time.Sleep(d) }
}

// The promise of the open model: a stall of two seconds is seen by all batches
// that were due in it, not only by the few that were in flight.
func TestAStallCannotHide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := do(t, config(t, stalling(3*time.Second, 5*time.Second), Constant(1000), 10*time.Second))
		require.Equal(t, BatchCounts{Intended: 100, Started: 100, Late: 16}, r.Batches, "20 were due in the stall, 4 of them started")
		require.InDelta(t, 2000, r.Latency.Intended.Max, 10)
		require.Greater(t, r.Latency.Intended.P99, 1800.0)
		require.Greater(t, r.Latency.Intended.P90, 900.0, "a fifth waited, evenly from 2 s to 0")
		require.Less(t, r.Latency.Service.P50, 10.0)
		require.Less(t, r.Latency.Service.P95, 10.0, "only 4 of 100 were in flight")
		require.Equal(t, "open", r.Model)
		require.InDelta(t, 1000, r.Rate.Reached, 1)
		require.InDelta(t, 1000, r.Rate.Wanted, 1)

		require.Len(t, r.Series, 10)
		for second, sent := range []uint64{1000, 1000, 1000, 400, 0, 2600, 1000} { // late starts are made at once
			require.Equal(t, sent, r.Series[second].Sent)
		}
		require.Greater(t, r.Series[5].P99, 1000.0)
		require.InDelta(t, 1000, r.Series[3].Waiting, 1, "since the stall began")
		require.InDelta(t, 2000, r.Series[4].Waiting, 1)
		require.Zero(t, r.Series[6].Waiting)
		line := r.plots()[0].Curves[0].Path
		require.Equal(t, 1, strings.Count(line, "M"), "the stall is a part of the line, not a gap: %s", line)
		require.Equal(t, 9, strings.Count(line, "L"))
		require.Less(t, r.Series[6].P99, 10.0)
	})
}

// Every batch starts at its instant to the nanosecond where nothing holds it up.
func TestStartsNeitherDriftNorBunch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		arrivals := make(chan time.Duration, 180)
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			arrivals <- time.Since(start)
			time.Sleep(time.Millisecond)
		}, Constant(30), time.Minute)
		cfg.Batch = 10
		r := do(t, cfg)
		for i := range cap(arrivals) {
			require.InDelta(t, float64(i)*float64(time.Second)/3, float64(<-arrivals), 10)
		}
		require.Equal(t, BatchCounts{Intended: 180, Started: 180}, r.Batches)
		require.InDelta(t, 1, r.Latency.Intended.P99, 0.01)
		require.EqualValues(t, 1800, r.Events.Acked)
	})
}

func TestBatchesNotBegunByTheEndAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, taking(time.Second), Constant(1000), 5*time.Second)
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
		cfg := config(t, taking(100*time.Millisecond), Max(), 10*time.Second)
		cfg.WarmUp, cfg.Batch = 5*time.Second, 10
		r := do(t, cfg)
		require.Equal(t, "closed", r.Model)
		require.EqualValues(t, 200, r.Batches.Started, "4 connections, 10 a second each, 5 seconds")
		require.EqualValues(t, BatchCounts{Intended: 200, Started: 200}, r.Batches)
		require.EqualValues(t, 2000, r.Warmed.Acked)
		require.InDelta(t, 100, r.Latency.Intended.P99, 1)
		require.InDelta(t, 400, r.Rate.Acked, 1)
	})
}

func TestEventsEndTheRun(t *testing.T) {
	for _, pace := range []Pace{Max(), Constant(1000)} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(t, stalling(0, 0), pace, 0)
			cfg.Events = 1234
			r := do(t, cfg)
			require.EqualValues(t, 1234, r.Events.Acked)
			require.EqualValues(t, 13, r.Batches.Intended)
			require.Zero(t, r.Batches.Dropped)
			if !pace.closed() {
				require.InDelta(t, 1000, r.Rate.Reached, 1)
				require.InDelta(t, 1000, r.Rate.Wanted, 1, "the last batch is not full")
			}
		})
	}
}

func TestLiveFiguresShowAHangingTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, Constant(1000), 20*time.Second)
		cfg.Timeout = time.Minute
		run := newRun(t, cfg)
		var r *Report
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		done := make(chan error)
		go func() {
			var err error
			r, err = run.Do(ctx)
			done <- err
		}()
		time.Sleep(5050 * time.Millisecond)
		// Four batches wait for their answers; 50 were due in 4.95 s.
		require.Equal(t, "load: 400 events, 0/s of 1000, p50 4882.4 ms, p99 5079.0 ms, 0 errors, 46 late, 15s left", run.Line())
		require.NoError(t, <-done)
		require.EqualValues(t, 4, r.Failures["cut off at the end"])
		require.InDelta(t, 15, r.Seconds, 0.1, "five seconds of grace")
		require.EqualValues(t, BatchCounts{Intended: 100, Started: 4, Dropped: 96}, r.Batches, "what was due later was not intended")
	})
}

func TestWarmUpIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
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
		cfg := config(t, taking(400*time.Millisecond), Constant(4000), 8*time.Second)
		cfg.WarmUp = 2 * time.Second
		cfg.Thresholds = conditions(t, "rate>=950,rate<=1050")
		r := do(t, cfg)
		require.EqualValues(t, 8000, r.Warmed.Sent, "all that was due in the warm-up")
		require.Zero(t, r.Events.Sent, "no more had its turn")
		require.InDelta(t, 4000, r.Rate.Wanted, 1)
		require.InDelta(t, 1000, r.Rate.Reached, 50)
		require.InDelta(t, 1000, r.Rate.Acked, 50)
		require.Equal(t, []bool{true, true}, oks(r))
		require.Equal(t, BatchCounts{Intended: 240, Dropped: 240}, r.Batches)
	})
}

func TestInterruptedRunsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, taking(time.Second), Constant(100), time.Minute)
		cfg.Thresholds = conditions(t, "errors==0,dropped==0")
		ctx, cancel := context.WithTimeout(t.Context(), 4500*time.Millisecond)
		defer cancel()
		r, err := newRun(t, cfg).Do(ctx)
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
		cfg := config(t, func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			events := decodeBatch(t, body)
			for _, e := range events {
				types[e.Type]++
				assert.Equal(t, events[0].Type, e.Type, "a batch has one type")
			}
			assert.Equal(t, "Bearer t0ken", r.Header.Get("Authorization"))
			assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
			assert.Equal(t, "1", r.Header.Get("Braze-Currents-Version"))
			assert.Equal(t, "writeKey=sEcReT", r.URL.RawQuery)
		}, Constant(1000), time.Second)
		cfg.Token, cfg.Batch = "t0ken", 50
		require.EqualValues(t, 20, do(t, cfg).Batches.Started)
		require.Equal(t, map[string]int{"users.messages.email.Open": 500, "users.messages.email.Click": 500}, types)
	})
}

func TestAnswersAreCountedAndNothingIsSentTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
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

// serve answers in memory until the test is over. Bodies are read before h is
// called.
func serve(t *testing.T, h http.HandlerFunc) DialFunc {
	p := memnet.Listen()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has closed the connection
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(p) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return p.Dial
}

func config(t *testing.T, h http.HandlerFunc, pace Pace, d time.Duration) Config {
	return Config{
		URL: "http://target/currents?writeKey=sEcReT", Pace: pace, Duration: d, Seed: 1, Dial: serve(t, h),
		Types: []string{"users.messages.email.Open", "users.messages.email.Click"}, Connections: 4,
	}
}

func do(t *testing.T, cfg Config) *Report {
	report, err := newRun(t, cfg).Do(t.Context())
	require.NoError(t, err)
	return report
}

func newRun(t *testing.T, cfg Config) *Run {
	run, err := New(cfg)
	require.NoError(t, err)
	if run.far != nil {
		run.far.poll = 10 * time.Millisecond
	}
	return run
}

func conditions(t *testing.T, text string) []Condition {
	all, err := ParseConditions(text)
	require.NoError(t, err)
	return all
}

func TestPrivateAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "0.0.0.0": true, "10.1.2.3": true, "172.16.0.1": true,
		"172.31.255.255": true, "192.168.1.1": true, "169.254.1.1": true, "fe80::1": true, "fd00::1": true, "::ffff:10.0.0.1": true,
		"8.8.8.8": false, "172.32.0.1": false, "192.169.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "100.64.0.1": false,
	} {
		require.Equal(t, want, private(netip.MustParseAddr(address)), address)
	}
}

func TestPublicTargetsAreRefused(t *testing.T) {
	for _, host := range []string{"8.8.8.8", "[2001:db8::1]:8080"} {
		run, err := New(Config{URL: "http://" + host + "/currents?writeKey=sEcReT", Pace: Constant(1), Events: 1})
		require.NoError(t, err)
		_, err = run.Do(t.Context())
		require.ErrorIs(t, err, errPublic)
		require.ErrorContains(t, err, "--yes-i-own-this-target")
		require.NotContains(t, err.Error(), "sEcReT")
	}
	// A name that turns to a public address later is refused by the connection.
	_, err := dialer(false)(t.Context(), "tcp", "8.8.8.8:80")
	require.Equal(t, "public address", failureOf(err))
}

// With the flag the connection is tried: a context that is over shows that the
// address was not what stopped it.
func TestPublicTargetsAreAllowedByTheFlag(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := dialer(true)(ctx, "tcp", "192.0.2.1:80")
	require.Error(t, err)
	require.NotErrorIs(t, err, errPublic)

	run, err := New(Config{URL: "http://192.0.2.1/currents", Pace: Constant(1), Events: 1, PublicTarget: true})
	require.NoError(t, err)
	report, err := run.Do(ctx)
	require.NoError(t, err, "refused only for its address")
	require.True(t, report.Interrupted)
	require.Zero(t, report.Events.Sent)
}

func TestMistakesAreNamed(t *testing.T) {
	good := Config{URL: "http://127.0.0.1/currents", Pace: Constant(1)}
	for want, change := range map[string]func(*Config){
		"a rate is needed":      func(c *Config) { c.Pace = Pace{} },
		"negative":              func(c *Config) { c.Duration = -1 },
		"96h":                   func(c *Config) { c.Duration = 1000 * time.Hour },
		"1 to 100":              func(c *Config) { c.Batch = 101 },
		"connections":           func(c *Config) { c.Connections = -1 },
		"timeout":               func(c *Config) { c.Timeout = -1 },
		"leaves nothing":        func(c *Config) { c.WarmUp = time.Minute },
		"only with --verify":    func(c *Config) { c.Thresholds = conditions(t, "lost==0") },
		"late or dropped":       func(c *Config) { c.Pace, c.Thresholds = Max(), conditions(t, "late<1%") },
		"read as a URL":         func(c *Config) { c.URL = "http://[sEcReT" },
		"http:// or https://":   func(c *Config) { c.URL = "ftp://x" },
		`"users.nothing.*"`:     func(c *Config) { c.Types = []string{"users.nothing.*"} },
		"the address to verify": func(c *Config) { c.Verify = "ftp://mockrudder" },
	} {
		c := good
		change(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "sEcReT")
	}
	run, err := New(good)
	require.NoError(t, err)
	require.NotZero(t, run.Seed())
	require.Equal(t, DefaultDuration, run.end)
	other, err := New(good)
	require.NoError(t, err)
	require.NotEqual(t, run.Seed(), other.Seed(), "a random one each time")
}

// Reports contain neither a write key nor a token, also where requests fail.
func TestSecretsAreNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{
			URL: "http://user:sEcReT@target/v1/webhook?writeKey=sEcReT#sEcReT", Token: "sEcReT", Pace: Constant(100), Duration: 3 * time.Second, Seed: 1,
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") },
		}
		r := do(t, cfg)
		require.EqualValues(t, 300, r.Events.Failed)
		require.Equal(t, "http://target/v1/webhook", r.Target)
		var out bytes.Buffer
		require.NoError(t, r.WriteText(&out))
		require.NoError(t, r.WriteJSON(&out))
		require.NoError(t, r.WriteHTML(&out))
		require.NotContains(t, out.String(), "sEcReT")
	})
}

// Refusals are listed by event type, with the beginning of the answer and its
// secrets masked.
func TestRefusalsAreListedByType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); bytes.Contains(body, []byte("email.Click")) {
				http.Error(w, "no such\n type: "+r.URL.RawQuery+" "+r.Header.Get("Authorization")+" "+strings.Repeat("x", 200), http.StatusBadRequest)
			}
		}, Constant(1000), 3*time.Second)
		cfg.Token = "t0kEn"
		r := do(t, cfg)
		require.Len(t, r.Refused, 1)
		refused := r.Refused[0]
		require.Equal(t, [3]any{"users.messages.email.Click", 400, uint64(15)}, [3]any{refused.Type, refused.Status, refused.Batches})
		require.EqualValues(t, 1500, refused.Events)
		require.Regexp(t, `^no such type: writeKey=\*{4} Bearer \*{4} x+…$`, refused.Answer)
		var text, page bytes.Buffer
		require.NoError(t, r.WriteText(&text))
		require.NoError(t, r.WriteHTML(&page))
		require.Contains(t, text.String(), "users.messages.email.Click 400, 15 batches, 1,500 events: no such type:")
		require.Contains(t, page.String(), "no such type:")
	})
}

func TestURLsWithoutASchemeAreHTTP(t *testing.T) {
	for text, want := range map[string]string{
		"localhost:8080/currents?writeKey=k": "http://localhost:8080/currents", "10.0.0.1/x": "http://10.0.0.1/x", "https://h/x": "https://h/x",
	} {
		u, err := parseURL(text)
		require.NoError(t, err)
		require.Equal(t, want, shown(u))
	}
}

func TestATargetWithACertificateOfItsOwn(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer server.Close()
	cfg := Config{URL: server.URL, Pace: Max(), Events: 100, Seed: 1, Types: []string{"users.canvas.Entry"}}
	require.Equal(t, map[string]uint64{"certificate not trusted": 1}, do(t, cfg).Failures)
	cfg.RootCAs = x509.NewCertPool()
	cfg.RootCAs.AddCert(server.Certificate())
	require.EqualValues(t, 100, do(t, cfg).Events.Acked)
}
