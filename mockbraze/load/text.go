package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
)

// fact is a line of a table.
type fact struct{ Name, Value string }

// facts are what is told of a run beside its latencies.
func (r *Report) facts() []fact {
	facts := []fact{
		{"Events sent", grouped(r.Events.Sent)},
		{"Events acknowledged", grouped(r.Events.Acked)},
		{"Events refused", grouped(r.Events.Refused)},
		{"Events not answered", grouped(r.Events.Failed)},
		{"Batches intended", grouped(r.Batches.Intended)},
		{"Batches started", grouped(r.Batches.Started)},
		{"Batches late by over 100 ms", grouped(r.Batches.Late)},
		{"Batches dropped", grouped(r.Batches.Dropped)},
		{"Events a second: wanted, sent, acknowledged", fmt.Sprintf("%s, %s, %s", rateText(r.Rate.Wanted), rateText(r.Rate.Reached), rateText(r.Rate.Acked))},
		{"Time to the last answer", fmt.Sprintf("%.1f s", r.Seconds)},
		{"Warm-up left out", fmt.Sprintf("%g s, %s events", r.WarmUp, grouped(r.Warmed.Sent))},
		{"Connections", grouped(uint64(r.Connections))},
		{"Events a batch", grouped(uint64(r.Batch))},
		{"Event types", grouped(uint64(r.Types))},
		{"CPU of the load itself", fmt.Sprintf("%.1f s, %.0f %% of the machine", r.Process.CPUSeconds, 100*r.Process.CPUShare)},
	}
	if v := r.Verify; v != nil {
		facts = append(facts, fact{"Events at the far end", grouped(v.Arrived)})
		if v.Problem != "" {
			return append(facts, fact{"Not verified", v.Problem})
		}
		facts = append(facts,
			fact{"Events that are dead letters", grouped(v.Dead)},
			fact{"Events acknowledged and lost", grouped(v.Lost)},
			fact{"Arrivals beyond the first", grouped(v.Duplicated)},
			fact{"Events not acknowledged, yet arrived", grouped(v.Unacknowledged)})
	}
	return facts
}

// answers are the batches by what came back, best first.
func (r *Report) answers() []fact {
	var all []fact
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		all = append(all, fact{status, grouped(r.Statuses[status])})
	}
	for _, failure := range slices.Sorted(maps.Keys(r.Failures)) {
		all = append(all, fact{"no answer: " + failure, grouped(r.Failures[failure])})
	}
	return all
}

// WriteText writes the report for people to read in a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "target\t%s\n", r.Target)
	fmt.Fprintf(t, "model\t%s, rate %s, seed %d\n", r.Model, r.Pace, r.Seed)
	fmt.Fprintf(t, "time\t%.1f s, of which %g s warm-up left out; %d connections, batches of %d, %d types\n",
		r.Seconds, r.WarmUp, r.Connections, r.Batch, r.Types)
	fmt.Fprintf(t, "events\t%s sent, %s acknowledged, %s refused, %s not answered\n",
		grouped(r.Events.Sent), grouped(r.Events.Acked), grouped(r.Events.Refused), grouped(r.Events.Failed))
	if r.Model == "open" {
		fmt.Fprintf(t, "batches\t%s intended, %s started, %s late, %s dropped\n",
			grouped(r.Batches.Intended), grouped(r.Batches.Started), grouped(r.Batches.Late), grouped(r.Batches.Dropped))
		fmt.Fprintf(t, "events/s\t%s wanted, %s sent, %s acknowledged\n",
			rateText(r.Rate.Wanted), rateText(r.Rate.Reached), rateText(r.Rate.Acked))
	} else {
		fmt.Fprintf(t, "events/s\t%s sent, %s acknowledged; no instants are kept, so waiting is not measured\n",
			rateText(r.Rate.Reached), rateText(r.Rate.Acked))
	}
	writeLatency(t, "intended", r.Latency.Intended)
	writeLatency(t, "service", r.Latency.Service)
	for _, a := range r.answers() {
		fmt.Fprintf(t, "answers\t%s: %s batches\n", a.Name, a.Value)
	}
	r.writeVerify(t)
	fmt.Fprintf(t, "this load\t%.1f s of CPU, %.0f %% of the machine\n", r.Process.CPUSeconds, 100*r.Process.CPUShare)
	for _, x := range r.Thresholds {
		word := "holds"
		if !x.OK {
			word = "FAILED"
		}
		fmt.Fprintf(t, "threshold\t%s %s: %s\n", x.Expression, word, x.Actual)
	}
	if warning := r.warning(); warning != "" {
		fmt.Fprintf(t, "warning\t%s\n", warning)
	}
	if r.Abort != "" {
		fmt.Fprintf(t, "aborted\t%s\n", r.Abort)
	}
	if r.Interrupted {
		fmt.Fprintf(t, "interrupted\tthe figures are those until then\n")
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (r *Report) writeVerify(w io.Writer) {
	v := r.Verify
	if v == nil {
		return
	}
	if v.Problem != "" {
		fmt.Fprintf(w, "far end\tNOT VERIFIED: %s\n", v.Problem)
		return
	}
	fmt.Fprintf(w, "far end\t%s arrived, %s dead letters, %s lost, %s duplicated, %s not acknowledged yet arrived\n",
		grouped(v.Arrived), grouped(v.Dead), grouped(v.Lost), grouped(v.Duplicated), grouped(v.Unacknowledged))
	writeLatency(w, "answer to far end", v.FromAnswer)
	writeLatency(w, "intended to far end", v.FromIntended)
}

func writeLatency(w io.Writer, name string, l Latencies) {
	if l == (Latencies{}) {
		fmt.Fprintf(w, "%s\tnone\n", name)
		return
	}
	fmt.Fprintf(w, "%s\tp50 %s, p90 %s, p99 %s, p99.9 %s, max %s, mean %s\n", name,
		millis(l.P50), millis(l.P90), millis(l.P99), millis(l.P999), millis(l.Max), millis(l.Mean))
}

func rateText(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return grouped(uint64(v + 0.5))
}

// grouped writes a number with a comma before each three digits.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
