// Package progress shows the progress of long work: done, rate and time left. On a
// terminal that is one line that is rewritten, elsewhere a line every few seconds.
// Short work shows nothing.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Meter shows the progress of one piece of work. Make it with Start, and Stop
// it. Add may be called from many goroutines.
type Meter struct {
	*Live

	what  string
	unit  Unit
	total int64
	done  atomic.Int64
	began time.Time

	previous time.Time // of the line before
	before   int64     // done at that time
}

// Unit formats a count.
type Unit func(n int64) string

// Start begins to show the work called what on out; total may be 0, unknown.
func Start(out io.Writer, what string, unit Unit, total int64) *Meter {
	now := time.Now()
	m := &Meter{what: what, unit: unit, total: total, began: now, previous: now}
	m.Live = Show(out, m.line)
	return m
}

// Add counts n more as done.
func (m *Meter) Add(n int64) { m.done.Add(n) }

// line has the rate since the last line, and the time left at the average rate.
func (m *Meter) line(now time.Time) string {
	done := m.done.Load()
	text := m.what + ": " + m.unit(done)
	if m.total > 0 {
		text += fmt.Sprintf(" of %s (%d %%)", m.unit(m.total), done*100/m.total)
	}
	if seconds := now.Sub(m.previous).Seconds(); seconds > 0 {
		text += fmt.Sprintf(", %s/s", m.unit(int64(float64(done-m.before)/seconds)))
	}
	if m.total > done && done > 0 {
		left := time.Duration(float64(now.Sub(m.began)) * float64(m.total-done) / float64(done))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	m.before, m.previous = done, now
	return text
}

// Bytes is the Unit of bytes, such as "1.5 MiB", in the units of settings.
func Bytes(n int64) string {
	for _, unit := range []struct {
		name  string
		shift int
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n >= 1<<unit.shift {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(int64(1)<<unit.shift)), ".0") + " " + unit.name
		}
	}
	return fmt.Sprintf("%d B", n)
}

// Count returns the Unit of things with this name, such as events.
func Count(name string) Unit {
	return func(n int64) string {
		if n == 1 {
			return "1 " + strings.TrimSuffix(name, "s")
		}
		return Grouped(n) + " " + name
	}
}

// Grouped writes a number with commas between the thousands.
func Grouped[N int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Write counts bytes, for an io.TeeReader.
func (m *Meter) Write(p []byte) (int, error) {
	m.Add(int64(len(p)))
	return len(p), nil
}

// How often a line is shown, and how long work may take without any.
const (
	terminalEvery = 500 * time.Millisecond
	plainEvery    = 5 * time.Second
	quietFor      = 2 * time.Second
)

// Live shows a line about the state of work again and again, from Show to Stop.
type Live struct {
	out      io.Writer
	terminal bool
	line     func(now time.Time) string
	shown    bool
	last     bool // Stop shows a last line in any case
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// Show begins to show what line returns: on a terminal in one place, elsewhere
// as a line every few seconds. An empty line is not shown. line is called by one
// goroutine at a time.
func Show(out io.Writer, line func(now time.Time) string) *Live {
	l := &Live{out: out, line: line, stop: make(chan struct{})}
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil {
			l.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	began := time.Now()
	l.stopped.Go(func() { l.run(began) })
	return l
}

// KeepLast makes Stop show a last line even where the work was short. Call it
// before Stop, from the same goroutine.
func (l *Live) KeepLast() { l.last = true }

// Stop ends it, with a last line where there were others.
func (l *Live) Stop() {
	close(l.stop)
	l.stopped.Wait()
	if l.shown || l.last {
		l.show(time.Now())
		if l.terminal {
			fmt.Fprintln(l.out)
		}
	}
}

func (l *Live) run(began time.Time) {
	every := plainEvery
	if l.terminal {
		every = terminalEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case now := <-ticker.C:
			if now.Sub(began) >= quietFor {
				l.show(now)
			}
		}
	}
}

func (l *Live) show(now time.Time) {
	line := l.line(now)
	if line == "" {
		return
	}
	l.shown = true
	if l.terminal {
		fmt.Fprintf(l.out, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(l.out, line)
}
