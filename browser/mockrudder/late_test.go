package mockrudder_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// testLatePause pauses while the newest messages are on their way.
func testLatePause(t *testing.T, c *console) {
	c.track(t, "ada", "First")
	page := c.show(t, "?live=off") // so that it asks for nothing by itself
	rows(page, 1)
	c.track(t, "ada", "Second")
	caught, release := page.Hold("/_mock/events")
	page.Click("#pause")
	caught()
	page.Click("#pause")
	release()
	rows(page, 1)
	page.Click("#pause")
	rows(page, 2)
}

// testLateScroll scrolls while the newest messages are on their way.
func testLateScroll(t *testing.T, c *console) {
	c.fill(t, 100)
	page := c.show(t, "?live=off")
	rows(page, 100)
	c.fill(t, 3)
	caught, release := page.Hold("/_mock/events")
	page.Click("#pause")
	caught()
	page.Until(`(() => { const s = document.querySelector("#scroll"); s.scrollTop = 64 * 32; return s.scrollTop === 2048 })()`)
	release()
	page.Shows("#fresh", "↑ 3 new")
	rows(page, 100)
	page.Shows("[aria-rowindex='65'] .event", "Event 35")
}

// testLateRows has a message come in while older ones are on their way to places
// that it moves.
func testLateRows(t *testing.T, c *console) {
	c.fill(t, 200)
	page := c.show(t, "")
	rows(page, 200)
	caught, release := page.Hold("before=")
	page.Size(1400, 4500, false)
	caught()
	c.track(t, "ada", "Newest")
	page.Shows("[data-counter=stored] dd", "201")
	release()
	page.Shows("[aria-rowindex='1'] .event", "Newest")
	page.Shows("[aria-rowindex='101'] .event", "Event 100")
	page.Shows("[aria-rowindex='102'] .event", "Event 99")
}

// testLateFrame chooses a message when a newer one has come in but is not drawn.
func testLateFrame(t *testing.T, c *console) {
	c.track(t, "ada", "First")
	c.track(t, "ada", "Second")
	page := c.show(t, "")
	rows(page, 2)
	page.Press(kb.ArrowDown)
	page.Shows(".row.selected .event", "Second")
	page.Settle()
	page.Until(`(window.frames_ = [], window.requestAnimationFrame = (draw) => frames_.push(draw), true)`)
	c.track(t, "ada", "Third")
	page.Shows("[data-counter=stored] dd", "3")
	page.Press(kb.Enter)
	page.Shows("#detail h2", "Second")
	page.Click("[aria-rowindex='2']")
	page.Shows("#detail h2", "First")
}

// testLateStep closes a message while the next one is looked for.
func testLateStep(t *testing.T, c *console) {
	c.track(t, "ada", "First")
	c.track(t, "ada", "Second")
	page := c.show(t, "")
	rows(page, 2)
	page.Click("[aria-rowindex='2']")
	page.Shows("#detail h2", "First")
	caught, release := page.Hold("after=")
	page.Click("[title='The next newer message']")
	caught()
	page.Press(kb.Escape)
	release()
	page.Until(`document.querySelector("#detail").hidden && location.search === ""`)
}

// testLateFaults has the list of faults from before one was made arrive after it.
func testLateFaults(t *testing.T, c *console) {
	page := c.show(t, "")
	page.Click("#open-faults")
	page.Shows(".fault-list", "None is in force")
	caught, release := page.Hold("/_mock/faults")
	caught()
	page.Click("#faults button[type=submit]")
	page.Shows(".fault-list .does", "answers 503")
	release()
	require.Equal(t, float64(1), page.Number(`document.querySelectorAll(".fault-list button").length`))
}
