package mockbraze_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// leapClock is the system's clock, but that it can leap ahead.
type leapClock struct {
	mu    sync.Mutex
	ahead time.Duration
	leapt chan struct{} // closed by the next leap
}

func (c *leapClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// After also fires at the next leap: whoever waits looks at the clock again.
func (c *leapClock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	leapt := c.leapt
	c.mu.Unlock()
	fired, done := make(chan time.Time, 1), make(chan struct{})
	go func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			fired <- c.Now()
		case <-leapt:
			fired <- c.Now()
		case <-done:
		}
	}()
	return fired, sync.OnceFunc(func() { close(done) })
}

func (c *leapClock) leap(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	close(c.leapt)
	c.leapt = make(chan struct{})
}

// testDisabled lets five days go by without a good answer, and then shows both
// ends: the Current is launched again in time, and it is not.
func testDisabled(t *testing.T, browser *browsertest.Browser) {
	target, clock := newTarget(t), &leapClock{leapt: make(chan struct{})}
	braze, err := mockbraze.New(mockbraze.WithClock(clock))
	require.NoError(t, err)
	page, _ := showOf(t, browser, braze, "/")
	fill(page, target.url, "good")
	page.Click("#launch-form")
	page.Until(`document.querySelector("#launch").hidden`)
	current := braze.Currents()[0]
	fail := func(n int) {
		target.down.Store(true)
		for i := range n {
			id := fmt.Sprintf("%d-%d", n, i)
			current.Queue(mockbraze.Event{ID: id, Type: "users.canvas.Entry", Raw: fmt.Appendf(nil, `{"event_type":"users.canvas.Entry","id":%q}`, id)})
		}
		current.Flush()
		page.Shows("#state-note", "after 5 days the Current is disabled")
		require.Equal(t, "launched", page.Text(`document.querySelector("#state").textContent`))
		clock.leap(mockbraze.DisableAfter)
		page.Shows("#state", "disabled")
	}

	fail(100)
	page.Shows("#currents", "disabled")
	page.Shows("#state-note", "new events are lost, queued ones are kept for 7 days")
	page.Shows("#mails", "Your Current was disabled after 5 days of errors (to ops@example.com)")
	counter(page, "queued", "100")
	// What can be done: launch it, also with other credentials, or try those it
	// has. There is nothing to pause.
	page.Until(`!document.querySelector("#launch").hidden && document.querySelector("#launch").textContent === "Launch"`)
	page.Until(`!document.querySelector("#mend-card").hidden && document.querySelector("#pause").hidden`)
	page.Click("#test")
	page.Shows("#watch-result", "503")
	page.Choose("#watch [name=events]", "7")
	page.Click("#send")
	page.Shows("#toast", "7 dropped")
	counter(page, "dropped", "7")
	page.Shows("[data-reason=disabled]", "came while the Current was disabled")

	target.down.Store(false)
	page.Click("#launch")
	counter(page, "sent", "100")
	counter(page, "queued", "0")
	page.Shows("#state", "launched")
	page.Until(`document.querySelector("#state-note").hidden && document.querySelector("#mend-card").hidden`)

	fail(30)
	clock.leap(mockbraze.KeepFor)
	page.Shows("[data-reason=expired]", "kept for 7 days in a disabled Current")
	counter(page, "queued", "0")
	counter(page, "dropped", "37")
	page.Shows("#state", "disabled")
	page.Click("#launch") // a 503 to the probe denies nothing
	page.Shows("#state", "launched")
}
