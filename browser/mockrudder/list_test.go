package mockrudder_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

func testKeys(t *testing.T, c *console) {
	for i := range 300 {
		c.track(t, "ada", fmt.Sprintf("Event %d", i))
	}
	page := c.show(t, "")
	rows(page, 300)
	selected := func(name string) {
		page.Until(fmt.Sprintf(`document.querySelector(".row.selected .event")?.textContent === %q`, name))
		page.Until(`document.getElementById(document.querySelector("#scroll").getAttribute("aria-activedescendant"))?.getAttribute("aria-selected") === "true"`)
	}
	page.Press(kb.ArrowDown)
	selected("Event 299")
	page.Press(kb.ArrowDown + kb.ArrowDown)
	selected("Event 297")
	page.Press(kb.Enter)
	page.Shows("#detail h2", "Event 297")
	page.Press(kb.ArrowUp)
	page.Shows("#detail h2", "Event 298")
	page.Press(kb.Escape)
	page.Until(`document.querySelector("#detail").hidden && document.activeElement.id === "scroll"`)
	page.Press(kb.End)
	page.Shows(".row .event", "Event 0")
	page.Press(kb.ArrowUp)
	selected("Event 1")
	page.Press(kb.Home)
	selected("Event 299")
	// Closing a message changes the height of rows: a key before the next frame counts on it.
	page.Press(kb.Enter)
	page.Shows("#detail h2", "Event 299")
	page.Until(`(() => {
		const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}))
		press("Escape")
		press("End")
		return true
	})()`)
	page.Shows("#position", "–300 of 300")
	page.Press(kb.Enter)
	page.Shows("#detail h2", "Event 0")
	page.Until(`(() => {
		const [list, row] = ["#scroll", ".row.selected"].map(s => document.querySelector(s).getBoundingClientRect())
		return row.height === 52 && row.bottom < list.bottom + 1
	})()`)
	page.Press(kb.Escape)
	page.Until(`document.querySelector(".row").getBoundingClientRect().height === 32`)
	page.Until(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	page.Shows(".row .event", "Event 0")
	page.Press(kb.Home)
	page.Press("/")
	page.Until(`document.activeElement.name === "q"`)
	page.Press("Event 17" + kb.Enter)
	rows(page, 11)
	require.NotEqual(t, "none", page.Text(`getComputedStyle(document.activeElement).outlineStyle`), "the focus is seen")
}

func testPhone(t *testing.T, c *console) {
	for i := range 30 {
		c.braze(t, fmt.Sprintf("a-rather-long-identifier-of-a-message-%d", i), "7")
	}
	page := c.browser.Open(t, c.URL)
	page.Size(360, 740, true)
	page.Go(c.URL + "/_mock/")
	rows(page, 30)
	fits := `document.documentElement.scrollWidth <= 360`
	page.Until(fits)
	page.Click("#more-filters")
	page.Until(`document.querySelector("[name=userId]").getBoundingClientRect().height > 0`)
	page.Until(fits)
	page.Click("#more-filters")
	page.Click("[aria-rowindex='2']")
	page.Shows("#detail .note", "type")
	page.Until(fits)
	page.Until(`document.querySelector("#scroll").getBoundingClientRect().height === 0`)
	page.Until(`(() => {
		const [above, below] = [...document.querySelectorAll(".pane")].map(e => e.getBoundingClientRect())
		return below.top >= above.bottom && above.width > 340
	})()`)
	page.Click("#close-detail")
	page.Until(`document.querySelector("#scroll").getBoundingClientRect().height > 300`)
}

func testHostile(t *testing.T, c *console) {
	const nasty = `<img src=x onerror=document.title='owned'></script><script>document.title='owned'</script>`
	const key = "<b>key</b>"
	c.Server = mockrudder.Start(t, mockrudder.WithSource(key, mockrudder.HTTP))
	body := fmt.Sprintf(`{"userId":%q,"event":%q,"messageId":%q,"properties":{%q:%q,"__proto__":{"a":1}}}`, nasty, nasty, nasty, nasty, nasty)
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", key, body))
	page := c.show(t, "")
	page.Shows(".row .event", nasty)
	page.Click("[aria-rowindex='1']")
	page.Shows("#detail h2", nasty)
	page.Shows(".code .t-key", nasty)
	page.Shows(".code .t-key", "__proto__")
	page.Shows("[name=source] option", key)
	require.Equal(t, "mockrudder", page.Text("document.title"))
	require.Zero(t, page.Number(`document.querySelectorAll("main img, main script, main b b").length`))
}

func testEmpty(t *testing.T, c *console) {
	c.Server = mockrudder.Start(t, mockrudder.WithSource("it's mine", mockrudder.Braze), mockrudder.WithSource("off", mockrudder.HTTP, mockrudder.Disabled()))
	page := c.show(t, "")
	page.Shows(".command", c.URL)
	require.Equal(t, float64(1), page.Number(`document.querySelectorAll(".command").length`))
	run(t, page.Text(`document.querySelector(".command").textContent`))
	page.Shows(".row .verdict", "valid")
}

// run runs a command that the page shows, as a user does.
func run(t *testing.T, command string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Log("curl is missing: the command is not run")
		return
	}
	out, err := exec.Command("sh", "-c", command).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func testCopies(t *testing.T, c *console) {
	const unusual = "it's `odd` \ufeff \\u0041 $HOME \"quoted\" 9007199254740993"
	text, err := json.Marshal(unusual)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", "wkHTTP",
		`{"userId":"u","event":"Odd one","properties":{"text":`+string(text)+`, "big":9007199254740993}}`))
	sent := c.Events(mockrudder.Filter{})[0]
	page := c.show(t, "?open="+sent.ID())
	page.AllowClipboard()
	clipboard := func(name string) string {
		page.Click("[data-copy=" + name + "]")
		page.Shows("#toast", "Copied as "+name)
		return page.Text("navigator.clipboard.readText()")
	}
	require.JSONEq(t, string(sent.Message()), clipboard("JSON"))

	run(t, clipboard("curl"))
	if events := c.Events(mockrudder.Filter{}); len(events) > 1 {
		require.Equal(t, sent.Raw, events[1].Raw)
	}

	fixture, files := "package p\n\n"+clipboard("Go"), token.NewFileSet()
	file, err := parser.ParseFile(files, "p.go", fixture, parser.ParseComments)
	require.NoError(t, err, fixture)
	checked, err := new(types.Config).Check("p", files, []*ast.File{file}, nil)
	require.NoError(t, err, fixture)
	require.Equal(t, sent.Raw, constant.StringVal(checked.Scope().Lookup("rawOddOne").(*types.Const).Val()))
}

func testPolling(t *testing.T, c *console) {
	var streams atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_mock/stream" {
			streams.Add(1)
			http.Error(w, "no streams here", http.StatusBadGateway)
			return
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close) // after the tab is closed, whose stream it would wait for
	page := c.browser.Open(t, front.URL)
	page.Go(front.URL + "/_mock/")
	page.Shows("#state-text", "live, by polling")
	c.track(t, "ada", "Polled")
	page.Shows(".row .event", "Polled")

	// Other filters while it asks: it begins anew, once.
	caught, release := page.Hold("/_mock/stats")
	caught()
	tried := streams.Load()
	page.Choose("[name=valid]", "true")
	page.Until(`(() => {
		const real = window.setTimeout
		let waiting = 0
		window.most = 0
		window.setTimeout = (then, ms) => real(() => { if (ms === 2000) waiting--; then() }, ms, ms === 2000 && (most = Math.max(most, ++waiting)))
		return true
	})()`)
	require.Eventually(t, func() bool { return streams.Load() > tried }, 30*time.Second, time.Millisecond)
	page.Settle()
	release()
	page.Until(`most > 0`)
	require.Equal(t, float64(1), page.Number(`most`))
	require.NotEmpty(t, page.Forgive(), "the browser logs the 502")
}

func testGone(t *testing.T, c *console) {
	var gone atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close) // after the tab is closed, whose stream it would wait for
	page := c.browser.Open(t, front.URL)
	page.Go(front.URL + "/_mock/")
	page.Shows("#state-text", "live")
	gone.Store(true)
	front.CloseClientConnections()
	page.Shows("#state-text", "no connection")
	page.Shows("#problem", "mockrudder does not answer")
	c.track(t, "ada", "Meanwhile")
	gone.Store(false)
	page.Shows(".row .event", "Meanwhile")
	page.Until(`document.querySelector("#problem").hidden && document.body.dataset.state !== "lost"`)
	page.Forgive() // the browser logs each failure
}

func testStandsStill(t *testing.T, c *console) {
	c.fill(t, 500)
	page := c.show(t, "")
	rows(page, 500)
	page.Until(`(() => { const s = document.querySelector("#scroll"); s.scrollTop = 200 * 32; return s.scrollTop === 6400 })()`)
	page.Shows("[aria-rowindex='201'] .event", "Event 299")
	c.fill(t, 3)
	page.Shows("#fresh", "3 new")
	rows(page, 500)
	page.Shows("[aria-rowindex='201'] .event", "Event 299")
	page.Click("#fresh")
	rows(page, 503)
	page.Until(`document.querySelector("#fresh").hidden && document.querySelector("#scroll").scrollTop === 0`)
}

// fill sends messages "Event 0", "Event 1", … of which every tenth is by bob.
func (c *console) fill(t testing.TB, n int) {
	t.Helper()
	const most = 5000
	for from := 0; from < n; from += most {
		var batch []string
		for i := from; i < min(from+most, n); i++ {
			user := "ada"
			if i%10 == 0 {
				user = "bob"
			}
			batch = append(batch, fmt.Sprintf(`{"type":"track","userId":%q,"event":"Event %d","messageId":"m-%d","properties":{"n":%d}}`, user, i, i, i))
		}
		require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/batch", "wkHTTP", `{"batch":[`+strings.Join(batch, ",")+`]}`))
	}
}

// bounded is what a list of any length may have of elements.
const bounded = `document.querySelectorAll(".row").length < 80`

func testMany(t *testing.T, c *console) {
	const many = 100_000
	c.Server = mockrudder.Start(t, mockrudder.WithoutValidation())
	c.fill(t, many)
	page := c.show(t, "")
	rows(page, many)
	page.Shows("[aria-rowindex='1'] .event", "Event 99999")

	page.Press(kb.ArrowDown)
	for key, want := range map[string]string{kb.End: "Event 0", kb.Home: "Event 99999"} {
		page.Press(key)
		page.Shows(".row .event", want)
		page.Until(bounded)
	}
	page.Until(`(() => { document.querySelector("#scroll").scrollTop = 50_000 * 32; return true })()`)
	page.Shows("[aria-rowindex='50001'] .event", "Event 49999")
	page.Until(bounded)
	requests := page.Number(`performance.getEntriesByType("resource").filter(e => e.name.includes("/_mock/events")).length`)
	require.Less(t, requests, float64(20))

	linked := c.show(t, "?open="+c.Events(mockrudder.Filter{Event: "Event 70000"})[0].ID())
	linked.Shows(".row.selected .event", "Event 70000")
	linked.Until(bounded)

	filtered := c.show(t, "?userId=bob")
	rows(filtered, many/10)
	filtered.Press(kb.ArrowDown)
	filtered.Press(kb.End)
	filtered.Shows(".row .event", "Event 0")
	filtered.Until(bounded)
	filtered.Until(`(() => { document.querySelector("#scroll").scrollTop = 5000 * 32; return true })()`)
	filtered.Shows("[aria-rowindex='5001'] .event", "Event 49990")
	filtered.Until(bounded)

	c.track(t, "ada", "The newest") // takes the place of the oldest
	page.Shows("#fresh", "1 new")
	page.Click("#fresh")
	page.Shows("[aria-rowindex='1'] .event", "The newest")
	rows(page, many)
}

func testLarge(t *testing.T, c *console) {
	body := `{"userId":"u","event":"Large","properties":{`
	for i := range 5_000 {
		body += fmt.Sprintf(`"p%d":%d,`, i, i)
	}
	body += `"deep":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", "wkHTTP", body))
	page := c.show(t, "?open="+c.Events(mockrudder.Filter{})[0].ID())
	page.Shows("#detail .more", "Show all 15,0")
	require.Less(t, page.Number(`document.querySelectorAll(".code li").length`), float64(5000))
}
