package load_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze/load"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// A run against a mockrudder's webhook, which is its own far end: with all that
// can be set, and what the report says.
func ExampleReport() {
	rudder, err := mockrudder.New(mockrudder.WithoutValidation())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rudder.Close()
	server := httptest.NewServer(rudder)
	defer server.Close()
	hopeless, err := load.ParseConditions("errors>99%")
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := load.New(load.Config{
		URL: server.URL + "/v1/webhook?writeKey=wkBraze", Token: "s3cret", Pacer: load.Constant(1000), Events: 400, Batch: 20,
		Connections: 2, Timeout: time.Minute, WarmUp: 100 * time.Millisecond, Types: []string{"users.messages.email.*"}, Seed: 7,
		MaxDuration: time.Minute, AbortOn: []load.Condition(hopeless), Verify: server.URL + "/_mock", VerifyTimeout: time.Minute, PublicTarget: false,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := run.Do(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Verdict, r.Target == run.Target(), r.Model, r.Pace, r.Seed, r.Batch, r.Connections, r.Types, r.WarmUp, r.Abort == "", r.Interrupted)
	fmt.Println(r.Events.Acked+r.Warmed.Acked, r.Events.Refused, r.Events.Failed, r.Events.Dead)
	fmt.Println(r.Batches.Intended == r.Batches.Started, r.Batches.Late <= r.Batches.Started, r.Batches.Dropped, r.Statuses["200"] == r.Batches.Started, len(r.Failures))
	ordered := func(l load.Latencies) bool {
		return 0 < l.P50 && l.P50 <= l.P90 && l.P90 <= l.P95 && l.P95 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max && l.Mean <= l.Max
	}
	fmt.Println(ordered(r.Latency.Service), ordered(r.Latency.Intended), r.Latency.Service.Max <= r.Latency.Intended.Max)
	fmt.Println(r.Rate.Wanted, r.Rate.Reached > 0, r.Rate.Acked > 0, r.Seconds > 0.3, r.Started.IsZero(), r.Process.CPUSeconds > 0, r.Process.CPUShare > 0)
	plotted(r)
	v := r.Verify
	fmt.Println(v.FarEnd == server.URL+"/_mock", v.Acked, v.Arrived, v.Lost, v.Duplicated, v.Unacknowledged, v.Foreign, v.Dead, v.Problem == "")
	fmt.Println(v.FromAnswer.P50 <= v.FromIntended.Max)
	last, _ := run.Now()
	fmt.Println("waited for the far end:", last.Verifying, "missing:", last.Missing)

	written(r)
	// Output:
	// pass true open 1000 7 20 2 11 0.1 true false
	// 400 0 0 0
	// true true 0 true 0
	// true true true
	// 1000 true true true false true true
	// 400 400 true true true true
	// 100 true
	// true 400 400 0 0 0 0 0 true
	// true
	// waited for the far end: true missing: 0
	// <nil>
	// true true true
	// <nil>
}

// plotted are the seconds of the run and the curve of its latencies.
func plotted(r *load.Report) {
	var sum load.Second
	for _, s := range r.Series {
		sum.Sent, sum.Acked, sum.Late, sum.Statuses = sum.Sent+s.Sent, sum.Acked+s.Acked, sum.Late+s.Late, s.Statuses
		sum.P99, sum.ServiceP99, sum.At = max(sum.P99, s.P99), max(sum.ServiceP99, s.ServiceP99), s.At
	}
	first := r.Series[0]
	fmt.Println(sum.Sent, sum.Acked, first.WarmUp, first.Wanted > 0, first.P50 <= first.P99, first.ServiceP50 <= first.ServiceP99)
	top := r.Percentiles[len(r.Percentiles)-1]
	fmt.Println(top.Percentile, top.Service <= top.Intended)
}

// written shows the report as text, JSON and a page.
func written(r *load.Report) {
	var text, asJSON, page bytes.Buffer
	fmt.Println(errors.Join(r.WriteText(&text), r.WriteJSON(&asJSON), r.WriteHTML(&page)))
	fmt.Println(strings.Contains(text.String(), "seed 7"), strings.Contains(asJSON.String(), `"verdict"`), strings.Contains(page.String(), "<svg"))
	file := filepath.Join(os.TempDir(), "example-report.html")
	defer os.Remove(file)
	fmt.Println(r.WriteFile(file))
}

// Load goes to what is on this machine or in a private network, unless told
// otherwise.
func ExamplePublicTargetError() {
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody is there") }
	cfg := load.Config{URL: "http://192.0.2.7/currents", Pacer: load.Max{}, Events: 10}
	run, err := load.New(cfg)
	if err == nil {
		_, err = run.Do(context.Background())
	}
	var public *load.PublicTargetError
	if errors.As(err, &public) {
		fmt.Println(public.Host, public.Address, strings.Contains(public.Error(), "--yes-i-own-this-target"))
	}
	cfg.Dial, cfg.Duration = load.DialFunc(nobody), load.DefaultDuration // with connections of one's own nothing is looked at
	cfg.Events = 200
	if run, err = load.New(cfg); err != nil {
		fmt.Println(err)
		return
	}
	r, err := run.Do(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Events.Failed, len(r.Failures), r.Connections == load.DefaultConnections, load.DefaultTimeout, load.DefaultVerifyTimeout, load.DefaultMaxDuration)
	for _, condition := range []string{"p99<200ms", "late<=1%"} {
		parsed, err := load.ParseConditions(condition)
		fmt.Println(parsed[0].String(), err)
	}
	// Output:
	// 192.0.2.7 192.0.2.7 true
	// 200 1 true 30s 30s 1h0m0s
	// p99<200ms <nil>
	// late<=1% <nil>
}
