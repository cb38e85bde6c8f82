package harness

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
	"github.com/currentsbridge/currentsbridge/internal/gobuild"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/internal/logbuffer"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
)

// buildDir is where the bridge is built. TestMain makes and removes it.
var buildDir string

// BuildBridge builds it once, also for the examples of the outer package.
var BuildBridge = sync.OnceValues(func() (string, error) {
	return gobuild.Program(buildDir, "github.com/currentsbridge/currentsbridge/cmd/bridge")
})

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	var err error
	if buildDir, err = os.MkdirTemp("", "currentsbridge-harness-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(buildDir)
	if err := flag.Set("test.parallel", "4"); err != nil { // the tests wait more than they work
		panic(err)
	}
	m.Run()
}

func bridgeProgram(t *testing.T) string {
	path, err := BuildBridge()
	require.NoError(t, err)
	return path
}

func requirePass(t *testing.T, c Config) Report {
	c.Bridge = bridgeProgram(t)
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	require.True(t, r.Passed(), "%s", strings.Join(r.Failures, "\n"))
	require.Empty(t, r.Failures)
	return r
}

func TestRunPassesWithAllFaults(t *testing.T) {
	t.Parallel()
	for mode, kills := range map[Mode]int{ModeEvents: 10, ModeWebhook: 3} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			var lines strings.Builder
			r := requirePass(t, Config{Events: 1000, Mode: mode, Faults: FaultsAll, Crashes: kills, Progress: &lines})
			require.EqualValues(t, 1000, r.Sent)
			require.EqualValues(t, 1000, r.Acked)
			require.Equal(t, 102, r.TypesSent)
			require.Equal(t, 101, r.TypesDelivered)
			// Event i is of type i modulo 102, and agentconsole.ToolInvocation is the second.
			// Of contentoptimizer.ComponentStore, some have no external_user_id either.
			require.GreaterOrEqual(t, r.Dead, int64(10))
			require.Less(t, r.Dead, int64(20))
			require.Equal(t, 1000-r.Dead, r.Delivered)
			require.Equal(t, kills, r.Crashes)
			require.Zero(t, r.Lost)
			require.Positive(t, r.Duplicates, "answers were lost after storing")
			require.LessOrEqual(t, r.Duplicates, r.DuplicateBound)
			require.Positive(t, r.PerSecond)
			for _, fault := range newSchedule(nil, mode, 0).wanted() {
				require.Positive(t, r.Faults[fault], fault)
			}
			require.Contains(t, lines.String(), "acked 1,000 of 1,000 · delivered 9")
		})
	}
}

func TestRunFiltersAndDeadLettersWhoHasNoExternalID(t *testing.T) {
	t.Parallel()
	dropped := requirePass(t, Config{Events: 1000, MissingExternalUserID: "drop"})
	require.Positive(t, dropped.Filtered)
	require.Positive(t, dropped.Dead, "events without any user")
	require.Zero(t, dropped.DuplicateBound+dropped.Duplicates, "there were no faults")
	require.Empty(t, dropped.Faults)
	dead := requirePass(t, Config{Events: 1000, Rate: 1500, MissingExternalUserID: "dead", Faults: FaultsNetwork})
	require.Zero(t, dead.Filtered+int64(dead.Crashes))
	require.NotEmpty(t, dead.Faults)
	require.EqualValues(t, dropped.Filtered+dropped.Dead, dead.Dead)
	require.Greater(t, dead.Duration, 0.6, "it keeps to its rate")
}

// Each way to spoil a run is found, in both modes and among kills.
func TestEachBreakFails(t *testing.T) {
	t.Parallel()
	counters := map[Break]func(Report) int64{
		BreakLose:      func(r Report) int64 { return r.Lost },
		BreakCorrupt:   func(r Report) int64 { return r.Corrupted },
		BreakDuplicate: func(r Report) int64 { return r.Duplicates },
	}
	configs := map[string]Config{
		"events":  {},
		"webhook": {Mode: ModeWebhook},
		"kills":   {Faults: FaultsCrash, Crashes: 2},
	}
	for how := range counters {
		for name, c := range configs {
			t.Run(fmt.Sprintf("%s, %s", how, name), func(t *testing.T) {
				t.Parallel()
				c.Events, c.Break, c.Bridge = 500, how, bridgeProgram(t)
				r, err := Run(t.Context(), c)
				require.NoError(t, err)
				require.Equal(t, Fail, r.Verdict)
				require.NotEmpty(t, r.Failures)
				require.Equal(t, c.Crashes, r.Crashes)
				for other, count := range counters {
					if other == how {
						require.Positive(t, count(r), "%v", r)
					} else if c.Crashes == 0 || other != BreakDuplicate { // a kill may make duplicates
						require.Zero(t, count(r), "%v", r)
					}
				}
				if how == BreakCorrupt {
					require.Contains(t, strings.Join(r.Failures, "\n"), "is not what was sent: /", "the archive has what it was")
				} else {
					require.Zero(t, r.Invalid)
				}
			})
		}
	}
}

func TestDestinationThatComesBackGetsEverythingWithin30Seconds(t *testing.T) {
	t.Parallel()
	var asked, back, last atomic.Int64 // requests; when it let them pass and was last asked, in nanoseconds since 1970
	r := requirePass(t, Config{Events: 1000, Rudder: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := time.Now().UnixNano()
			switch n := asked.Add(1); {
			case n < 12:
				panic(http.ErrAbortHandler)
			case n == 12:
				back.Store(now)
			}
			last.Store(now)
			next.ServeHTTP(w, r)
		})
	}})
	require.Less(t, time.Duration(last.Load()-back.Load()), 30*time.Second)
	require.Zero(t, r.Duplicates, "nothing was stored while it was unreachable")
	require.EqualValues(t, 1000-r.Dead, r.Delivered)
}

func TestRunThatStandsStillFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	unreachable := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	r, err := Run(t.Context(), Config{
		Events: 100, Bridge: bridgeProgram(t), Standstill: 5 * time.Second, Dir: dir,
		Rudder: func(http.Handler) http.Handler { return unreachable },
	})
	require.NoError(t, err)
	require.Equal(t, Fail, r.Verdict)
	require.Contains(t, r.Failures[0], "nothing got on for 5s: 100 acknowledged, 0 delivered, 99 pending")
	require.EqualValues(t, 99, r.Lost)
	require.FileExists(t, filepath.Join(dir, "bridge.log"))
	require.Equal(t, dir, r.Data)
}

func TestRunFailsWhenTheBridgeEndsByItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bridge")
	script := "#!/bin/sh\n(sleep 1; kill -9 $$) &\nexec " + bridgeProgram(t) + ` "$@"` + "\n"
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	r, err := Run(t.Context(), Config{Events: 10_000, Rate: 500, Bridge: path})
	require.NoError(t, err)
	require.Equal(t, Fail, r.Verdict)
	require.Contains(t, strings.Join(r.Failures, "\n"), "the bridge ended with signal: killed")
}

func TestRunNeedsABridge(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Config{Bridge: filepath.Join(t.TempDir(), "nothing")})
	require.ErrorIs(t, err, ErrNoBridge)
	require.ErrorContains(t, err, "make build")

	// A program that is not the bridge.
	path := filepath.Join(t.TempDir(), "bridge")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho no good >&2\nexit 3\n"), 0o755))
	_, err = Run(t.Context(), Config{Bridge: path})
	require.ErrorContains(t, err, "ended before it was ready")
	require.ErrorContains(t, err, "no good")
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	stop := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			next.ServeHTTP(w, r)
		})
	}
	_, err := Run(ctx, Config{Events: 100_000, Bridge: bridgeProgram(t), Rudder: stop})
	require.ErrorIs(t, err, context.Canceled)
}

func TestConfigThatMakesNoSense(t *testing.T) {
	for want, c := range map[string]Config{
		"events: -1 is negative":                                          {Events: -1},
		"rate: -1 is negative":                                            {Rate: -1},
		"crashes: -1 is negative":                                         {Crashes: -1},
		`mode: "push" is none of events, webhook`:                         {Mode: "push"},
		`faults: "some" is none of none, network, crash, all`:             {Faults: "some"},
		`break: "bend" is none of lose, corrupt, duplicate`:               {Break: "bend"},
		`missing-external-user-id: "keep" is none of deliver, dead, drop`: {MissingExternalUserID: "keep"},
	} {
		_, err := Run(t.Context(), c)
		require.EqualError(t, err, want)
	}
}

func TestRunOnPostgreSQL(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t).Database(t)
	r := requirePass(t, Config{Events: 1000, Faults: FaultsCrash, Crashes: 2, Queue: database})
	require.Equal(t, r.Acked, r.Delivered+r.Dead)
	require.Equal(t, 2, r.Crashes)
}

func TestUp(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{ModeEvents, ModeWebhook} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			out := &logbuffer.Buffer{}
			ports, err := bridgeproc.FreePorts(4)
			require.NoError(t, err)
			c := UpConfig{Mode: mode, Bridge: bridgeProgram(t), Out: out, Braze: ports[0], Rudder: ports[1], Listen: ports[2], Admin: ports[3]}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- Up(ctx, c) }()
			waiting, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			require.NoError(t, await(waiting, func() bool { return strings.Contains(out.String(), "Try:") }))

			send := "http://" + c.Braze + "/api/currents/1/send?events="
			require.Contains(t, out.String(), "curl -X POST '"+send+"1020'", "ten of each of 102 types")
			require.NoError(t, jsoncall.Do(waiting, http.MethodPost, send+"204", nil, nil))
			require.NoError(t, await(waiting, func() bool {
				var stats struct{ Stored int }
				require.NoError(t, jsoncall.Do(waiting, http.MethodGet, "http://"+c.Rudder+"/_mock/stats", nil, &stats))
				return stats.Stored == 202
			}))
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

func TestUpNamesAnAddressInUse(t *testing.T) {
	t.Parallel()
	ports, err := bridgeproc.FreePorts(1)
	require.NoError(t, err)
	taken := ports[0]
	_, stop, err := serve(taken, http.NotFoundHandler())
	require.NoError(t, err)
	defer stop()
	err = Up(t.Context(), UpConfig{Rudder: taken, Bridge: bridgeProgram(t)})
	require.ErrorContains(t, err, taken)
	const free = "127.0.0.1:0"
	err = Up(t.Context(), UpConfig{Rudder: free, Braze: free, Listen: taken, Admin: free, Bridge: bridgeProgram(t)})
	require.ErrorContains(t, err, "ended before it was ready")
	require.ErrorContains(t, err, "address already in use")
}
