package load_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze/load"
)

func ExampleRun() {
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer target.Close()
	thresholds, err := load.ParseConditions("p99<5s,errors==0,acked==100%")
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := load.New(load.Config{
		URL: target.URL + "/currents", Pacer: load.Constant(5000), Events: 1000, Seed: 7, Thresholds: thresholds,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var report *load.Report
	if report, err = run.Do(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range report.Thresholds[1:] {
		fmt.Println(t.Expression, t.Actual, t.OK)
	}
	progress, _ := run.Now() // while it runs, this is what a line on the terminal tells
	fmt.Println(progress.Sent, progress.Total, progress.Late <= 10, progress.Elapsed > 0, progress.Length >= 0, progress.P50 <= progress.P99, progress.Rate >= 0, progress.Wanted)
	fmt.Println(report.Model, report.Events.Sent, report.Batches.Started, report.Passed(), progress.Errors, run.Seed())
	// Output:
	// errors==0 0 true
	// acked==100% 100.000% true
	// 1000 1000 true true true true true 5000
	// open 1000 10 true 0 7
}

func ExamplePacer() {
	pacer, err := load.ParseRate("2000")
	if err != nil {
		fmt.Println(err)
		return
	}
	ramp, err := load.ParseRamp("0:1000:10s,1000:1000:1m")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range []load.Pacer{pacer, ramp, load.Ramp{load.Segment{From: 10, To: 20, For: time.Second}}, load.Max{}} {
		due, _ := p.Due(5000)
		fmt.Println(p, due.Round(time.Millisecond), p.Rate(5*time.Second))
	}
	fmt.Println(ramp.Length(), ramp.Events(10*time.Second))
	// Output:
	// 2000 2.5s 2000
	// 0:1000:10s,1000:1000:1m0s 10s 500
	// 10:20:1s 4m10.25s 20
	// max 0s 0
	// 1m10s 5000
}

func ExampleGenerator() {
	generator, err := load.NewGenerator(1, []string{"users.messages.email.Open", "users.canvas.Entry"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for batch := range uint64(3) {
		body := generator.Append(nil, batch, batch*10, 10, time.Now())
		fmt.Println(generator.Type(batch), strings.Count(string(body), `"event_type"`))
	}
	fmt.Println(len(generator.Types()))
	// Output:
	// users.canvas.Entry 10
	// users.messages.email.Open 10
	// users.canvas.Entry 10
	// 2
}

func ExampleFormat() {
	_, err := load.Format("report.pdf")
	fmt.Println(err)
	// Output: a report is FILE.json or FILE.html, not "report.pdf"
}
