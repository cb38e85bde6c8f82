package mockbraze_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
)

// TestPage shows the page to a real browser.
func TestPage(t *testing.T) {
	browser := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, *browsertest.Browser){
		"create, launch, send, pause": testLife,
		"a wrong token":               testWrongToken,
		"transformations and tests":   testTransformations,
		"an event that is refused":    testRefused,
		"disabled after five days":    testDisabled,
		"types and mistakes":          testMistakes,
		"a long, hostile name":        testLong,
		"late answers":                testLate,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser) })
	}
}

// target is an endpoint that takes the token good, refuses a body with bad in
// it, and answers 503 while it is down.
type target struct {
	url  string
	bad  atomic.Value // string
	down atomic.Bool
}

func newTarget(t *testing.T) *target {
	target := &target{}
	target.bad.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		bad, _ := target.bad.Load().(string)
		switch {
		case target.down.Load():
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		case err != nil || bad != "" && strings.Contains(string(body), bad):
			http.Error(w, "one of these is <b>bad</b>", http.StatusBadRequest)
		case r.Header.Get("Authorization") != "Bearer good":
			http.Error(w, "the token is wrong", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	target.url = server.URL
	return target
}

func show(t *testing.T, browser *browsertest.Browser, options ...mockbraze.Option) (*browsertest.Page, *mockbraze.Server) {
	t.Helper()
	braze := mockbraze.Start(t, options...).Server
	server := httptest.NewServer(braze.Handler())
	t.Cleanup(server.Close)
	page := browser.Open(t, server.URL)
	page.Size(1300, 900, false)
	page.Go(server.URL + "/")
	page.Until(`document.querySelectorAll("#types input[type=checkbox]").length > 0`)
	return page, braze
}

func fill(page *browsertest.Page, url, token string) {
	page.Type("[name=integration_name]", "Bridge")
	page.Type("[name=contact_email]", "ops@example.com")
	page.Type("[name=url]", url)
	page.Type("[name=token]", token)
}

// launch makes a Current and waits until it is launched.
func launch(page *browsertest.Page, url string) {
	fill(page, url, "good")
	page.Click("#launch-form")
	page.Until(`document.querySelector("#launch").hidden`)
}

func counter(page *browsertest.Page, name, value string) {
	page.Shows(fmt.Sprintf("[data-counter=%s] dd", name), value)
}

func testLife(t *testing.T, browser *browsertest.Browser) {
	target := newTarget(t)
	page, _ := show(t, browser)
	require.EqualValues(t, 102, page.Number(`document.querySelectorAll("#types input[type=checkbox]:checked").length`))
	fill(page, target.url, "good")
	page.Click("#test-form")
	page.Until(`document.querySelector("#test-result").className.includes("good")`)
	page.Click("#launch-form")
	page.Shows("#name", "Bridge")
	page.Until(`document.querySelector("#launch").hidden`)
	require.Greater(t, page.Number(`document.querySelector("#watch [name=types]").offsetWidth`), 220.0, "names of types are long")
	require.Greater(t, page.Number(`document.querySelector("#watch [name=scenario]").offsetWidth`), 120.0)
	page.Choose("#watch [name=events]", "1020")
	page.Click("#send")
	counter(page, "sent", "1,020")
	counter(page, "dropped", "0")
	page.Until(`document.querySelectorAll("#answers tbody tr").length > 1`)
	page.Until(`document.querySelectorAll("#by-type tbody tr").length === 102`)
	page.Shows("#currents", "1,020 sent")
	page.Until(`document.querySelector("#latency-p50").textContent !== "–"`)
	page.Click("#pause")
	page.Until(`!document.querySelector("#launch").hidden && document.querySelector("#launch").textContent === "Resume"`)
	page.Click("#launch")
	page.Until(`document.querySelector("#launch").hidden`)
	page.Choose("#watch [name=rate]", "50")
	page.Click("#set-rate")
	page.Until(`Number(document.querySelector("[data-counter=queued] dd").textContent.replace(/\D/g, "")) > 0`)
	page.Until(`(document.querySelector("#delete").click(), document.querySelector("#delete").click(), true)`) // within the four seconds that the question stays
	page.Until(`!document.querySelector("#create").hidden`)
}

func testWrongToken(t *testing.T, browser *browsertest.Browser) {
	target := newTarget(t)
	page, _ := show(t, browser)
	fill(page, target.url, "wrong")
	page.Click("#test-form")
	page.Until(`document.querySelector("#test-result").className.includes("bad")`)
	t.Log(page.Text(`document.querySelector("#test-result").textContent`))
	page.Shows("#test-result", "401")
	page.Click("#launch-form")
	page.Shows("#problem", "401")
	page.Forgive() // the browser logs the answer of the launch
	page.Type("#credentials-card [name=token]", "good")
	page.Click("#relaunch")
	page.Until(`document.querySelector("#launch").hidden`)
	require.NotContains(t, page.Text("document.documentElement.outerHTML"), "good<")
}

// testTransformations makes a RudderStack Current that hashes a field, and sends
// test events before it is launched.
func testTransformations(t *testing.T, browser *browsertest.Browser) {
	target := newTarget(t)
	page, _ := show(t, browser)
	page.Until(`document.querySelector("[name=region]").closest("label").hidden`)
	page.Click("[name=kind][value=rudderstack]")
	page.Until(`!document.querySelector("[name=region]").closest("label").hidden`)
	page.Choose("[name=region]", "EU")
	page.Type("[name=url]", target.url)
	page.Until(`(document.querySelector("#types ~ details").open = true)`)
	page.Type("#transform-field", "emial")
	page.Click("#add-transform")
	page.Shows("#form-problem", "emial")
	page.Choose("#transform-field", "external_user_id")
	page.Choose("#transform-how", "hash")
	page.Click("#add-transform")
	page.Shows("#transforms", "becomes its SHA-256")
	page.Click("#save-form")
	page.Shows("#state", "draft")
	page.Click("#test-events")
	page.Shows("#toast", "0 of 100 test events accepted") // without the token
}

func testRefused(t *testing.T, browser *browsertest.Browser) {
	target := newTarget(t)
	page, _ := show(t, browser)
	launch(page, target.url)
	target.bad.Store("users.messages.email.Open\"")
	page.Choose("#watch [name=events]", "20")
	page.Choose("#watch [name=types]", "users.messages.email.Open")
	page.Click("#send")
	counter(page, "dropped", "20")
	counter(page, "split", "1")
	page.Shows("#reasons", "20")
	page.Shows("#answers", "one of these is <b>bad</b>")
}

func testMistakes(t *testing.T, browser *browsertest.Browser) {
	page, _ := show(t, browser)
	page.Click("#launch-form")
	page.Shows("#form-problem", "Endpoint")
	page.Type("[name=url]", "http://127.0.0.1:1/currents")
	page.Click("#no-types")
	page.Shows("#type-count", "0 of 105 chosen")
	page.Click("#launch-form")
	page.Shows("#form-problem", "at least one event type")
	page.Type("#type-search", "email open")
	page.Click("#all-types")
	page.Until(`(() => {
		const chosen = [...document.querySelectorAll("#types input[type=checkbox]:checked")]
		return chosen.length > 0 && chosen.every((box) => box.value.includes("email.") && box.value.includes("Open"))
	})()`)
}

// testLate saves twice in a moment, and has an answer arrive when another Current is shown.
func testLate(t *testing.T, browser *browsertest.Browser) {
	target := newTarget(t)
	page, braze := show(t, browser)
	fill(page, target.url, "good")
	page.Until(`(document.querySelector("#save-form").click(), document.querySelector("#save-form").click(), true)`)
	page.Shows("#state", "draft")
	page.Settle()
	require.Len(t, braze.Currents(), 1)
	page.Click("#go-create")
	page.Click("#save-form")
	other := "#currents li:not(:has([aria-current])) a"
	page.Until(`document.querySelectorAll("` + other + `").length === 1 && !document.querySelector("#watch").hidden`)

	caught, release := page.Hold("/test")
	page.Click("#test")
	caught()
	href := page.Text(`document.querySelector("` + other + `").href`)
	page.Click(other)
	page.Until(fmt.Sprintf(`document.querySelector("#currents [aria-current]").href === %q && !document.querySelector("#watch").hidden`, href))
	release()
	page.Until(`document.querySelector("#watch-result").hidden`)
}

// testLong shows the longest name there may be, hostile and without a place to
// break it, on a desk and on a phone.
func testLong(t *testing.T, browser *browsertest.Browser) {
	page, _ := show(t, browser)
	page.Size(390, 844, true)
	page.Until(`document.documentElement.scrollWidth <= innerWidth`)
	page.Shows("#create h2", "Create Current")
	fill(page, newTarget(t).url, "good")
	const hostile = "<img src=x onerror=alert(1)></script>"
	page.Type("[name=integration_name]", hostile+strings.Repeat("W", 200)) // behind Bridge; the field takes 200
	page.Click("#save-form")
	page.Shows("#name", "Bridge"+hostile+"WWW")
	require.EqualValues(t, 200, page.Number(`document.querySelector("#name").textContent.length`))
	require.Zero(t, page.Number(`document.querySelectorAll("img[src=x]").length`))
	for _, width := range []int{1300, 390} {
		page.Size(width, 844, width < 800)
		page.Until(`document.documentElement.scrollWidth <= innerWidth`)
		require.Less(t, page.Number(`document.querySelector("#name").offsetHeight`), 70.0)
		require.LessOrEqual(t, page.Number(`document.querySelector(".side a").offsetWidth`), 240.0)
	}
	require.Greater(t, page.Number(`document.querySelector("#watch [name=types]").offsetWidth`), 180.0)
}

// leapClock is the system's clock with something added. A wait ends early, so that
// a Current soon sees what was added.
type leapClock struct{ ahead atomic.Int64 }

func (c *leapClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *leapClock) After(d time.Duration) (<-chan time.Time, func()) {
	timer := time.NewTimer(min(d, 10*time.Millisecond))
	return timer.C, func() { timer.Stop() }
}

func (c *leapClock) leap(d time.Duration) { c.ahead.Add(int64(d)) }

// testDisabled lets five days go by without a good answer, and then shows both
// ends: the Current is launched again in time, and it is not.
func testDisabled(t *testing.T, browser *browsertest.Browser) {
	target, clock := newTarget(t), &leapClock{}
	page, braze := show(t, browser, mockbraze.WithClock(clock))
	launch(page, target.url)
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
	page.Until(`!document.querySelector("#credentials-card").hidden && document.querySelector("#pause").hidden`)
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
	page.Until(`document.querySelector("#state-note").hidden && document.querySelector("#credentials-card").hidden`)

	fail(30)
	clock.leap(mockbraze.KeepFor)
	page.Shows("[data-reason=expired]", "kept for 7 days in a disabled Current")
	counter(page, "queued", "0")
	counter(page, "dropped", "37")
	page.Shows("#state", "disabled")
	page.Click("#launch") // a 503 to the probe denies nothing
	page.Shows("#state", "launched")
}
