package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

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
