package mockrudder_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
)

// hold keeps from the page the next answer to a request whose URL contains part.
// caught waits for that answer, release gives it to the page.
func hold(page *browsertest.Page, part string) (caught, release func()) {
	page.Until(fmt.Sprintf(`(() => {
		const real = window.fetch
		const catching = window.fetch = async (url, options) => {
			const answer = await real(url, options)
			if (window.fetch === catching && String(url).includes(%q)) {
				window.fetch = real
				await new Promise((go) => { window.held = go })
			}
			return answer
		}
		return true
	})()`, part))
	return func() { page.Until(`window.held !== undefined`) }, func() {
		page.Until(`(held(), delete window.held)`)
		settle(page)
	}
}

// settle waits until the page has done what it can do by now.
func settle(page *browsertest.Page) {
	page.Until(`(async () => {
		await (await fetch("/_mock/stats")).text()
		await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
		return true
	})()`)
}

// testLateFrame chooses a message when a newer one has come in but is not drawn.
func testLateFrame(t *testing.T, c *console) {
	c.track(t, "ada", "First")
	c.track(t, "ada", "Second")
	page := c.show(t, "")
	rows(page, 2)
	page.Press(kb.ArrowDown)
	page.Shows(".row.selected .event", "Second")
	settle(page)
	page.Until(`(window.frames_ = [], window.requestAnimationFrame = (draw) => frames_.push(draw), true)`)
	c.track(t, "ada", "Third")
	page.Shows("[data-counter=stored] dd", "3")
	page.Press(kb.Enter)
	page.Shows("#detail h2", "Second")
	page.Click("[aria-rowindex='2']")
	page.Shows("#detail h2", "First")
}

// testLateFaults has the list of faults from before one was made arrive after it.
func testLateFaults(t *testing.T, c *console) {
	page := c.show(t, "")
	page.Click("#open-faults")
	page.Shows(".fault-list", "None is in force")
	caught, release := hold(page, "/_mock/faults")
	caught()
	page.Click("#faults button[type=submit]")
	page.Shows(".fault-list .does", "answers 503")
	release()
	require.Equal(t, float64(1), page.Number(`document.querySelectorAll(".fault-list button").length`))
}
