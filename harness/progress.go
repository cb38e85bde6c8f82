package harness

import (
	"fmt"
	"io"
	"os"
	"time"
)

// How often progress is shown: on a terminal on one line, otherwise as lines.
const (
	terminalEvery = time.Second
	plainEvery    = 5 * time.Second
)

// snapshot is the state of a run at one moment.
type snapshot struct {
	acked, delivered, awaited, total int64
	faults                           map[string]int
	crashes                          int
	elapsed                          time.Duration
}

// progress writes how far a run is.
type progress struct {
	out      io.Writer
	terminal bool
	last     snapshot
	shown    bool
}

// newProgress writes to out; nil shows nothing.
func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

func (p *progress) every() time.Duration {
	if p.terminal {
		return terminalEvery
	}
	return plainEvery
}

// show writes one line.
func (p *progress) show(now snapshot) {
	if p.out == nil {
		return
	}
	rate := 0.0
	if seconds := (now.elapsed - p.last.elapsed).Seconds(); seconds > 0 {
		rate = float64(now.delivered-p.last.delivered) / seconds
	}
	p.last = now
	line := fmt.Sprintf("acked %s of %s · delivered %s · %s/s · left %s",
		count(now.acked), count(now.total), count(now.delivered), count(int64(rate)),
		count(max(0, now.awaited-now.delivered)+now.total-now.acked))
	if kinds, total := faultCount(now.faults); total > 0 {
		line += fmt.Sprintf(" · faults %d (%d kinds)", total, kinds)
	}
	if now.crashes > 0 {
		line += fmt.Sprintf(" · kills %d", now.crashes)
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", line)
	} else {
		fmt.Fprintln(p.out, line)
	}
	p.shown = true
}

// done ends the line on a terminal, so that what follows starts afresh.
func (p *progress) done() {
	if p.terminal && p.shown {
		fmt.Fprintln(p.out)
	}
}

// say writes a remark between the lines of progress.
func (p *progress) say(format string, args ...any) {
	if p.out == nil {
		return
	}
	if p.terminal && p.shown {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// faultCount sums up what faultText lists; a terminal's line has no room for more.
func faultCount(faults map[string]int) (kinds, total int) {
	for _, n := range faults {
		if n > 0 {
			kinds++
			total += n
		}
	}
	return kinds, total
}
