package bridge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// TestPage shows the page to a real browser.
func TestPage(t *testing.T) {
	browser := browsertest.Start(t)
	// The chart of the overview needs two samples, so its bridge runs 20 seconds before.
	overview := run(t, "")
	overview.post("brand-a", generated(t, 500)...)
	overview.post("brand-b", strings.Replace(event("e1", `,"new_field":1`), "users.behaviors.CustomEvent", "users.messages.pigeon.Send", 1))
	for name, test := range map[string]func(*testing.T, *browsertest.Browser){
		"a dead letter is found, opened and replayed": testReplayOne,
		"a selection is counted and purged":           testPurge,
		"a parked event":                              testParked,
		"a failing destination":                       testFailing,
		"history is delivered again":                  testHistory,
		"login":                                       testLogin,
		"keys and a phone":                            testKeys,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser) })
	}
	t.Run("the overview, drift and settings", func(t *testing.T) { testOverview(t, browser, overview) })
}

func testReplayOne(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	repair := r.refuse("poison", http.StatusBadRequest)
	r.post("brand-a", event("e1", ""), event("e2", `,"is":"poison <b>&amp;</b>"`), event("e3", ""))
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 1 && s.Delivered == 2 })

	page := r.page(browser, "")
	page.Click(`.counters a[href="#dead?connector=brand-a"]`)
	page.Shows("tbody .badge", "refused")
	page.Shows("a.row code", "e2")
	require.NotContains(t, page.Text("document.body.innerText"), "person-e2", "people are in an opened event alone")
	page.Click("a.row")
	page.Shows(".detail .code", `"person-e2"`)
	page.Shows(".detail .code", "12345678901234567890")
	page.Shows(".detail .code", "poison <b>&amp;</b>")
	page.Shows(".detail .facts", "event is not a valid rudder event")
	page.Shows(".detail .note", "then replay")
	require.NotContains(t, page.Text("location.href"), "person")

	repair()
	page.Click(".detail button.main")
	page.Shows("#ask h2", "Replay 1 dead letter?")
	page.Click("#ask button[value='']")
	page.Until(`!document.querySelector("#ask").open`)
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 1 })
	page.Click(".detail button.main")
	page.Click("#ask button.main")
	page.Shows("#toast", "1 dead letter replayed")
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 0 && s.Delivered == 3 })
	require.Len(t, r.rudder.Events(mockrudder.Filter{MessageID: "e2"}), 1)
	page.Go(r.at.Admin + "/#drift")
	page.Shows("main", "properties.big")
	for _, wrong := range page.Forgive() { // the page may have asked for the opened letter once more
		require.Contains(t, wrong, "404 (Not Found)")
		require.Contains(t, wrong, "/api/dead/1?")
	}
}

func testPurge(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	r.refuse("poison", http.StatusBadRequest)
	noUser := func(id string) string {
		return strings.Replace(event(id, ""), `"user_id":"u-`+id+`","external_user_id":"person-`+id+`"`, "", 1)
	}
	r.post("brand-a", event("e1", ""), event("e2", `,"is":"poison"`), noUser("n1"), noUser("n2"))
	r.post("brand-b", noUser("n3"))
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 3 })
	r.until("brand-b", func(s admin.ConnectorStatus) bool { return s.Dead == 1 })

	page := r.page(browser, "#dead")
	page.Until(`document.querySelectorAll("a.row").length === 4`)
	page.Choose("[name=reason]", "no_identity")
	page.Choose("[name=connector]", "brand-a")
	page.Click(".filters button.main")
	page.Until(`document.querySelectorAll("a.row").length === 2`)
	page.Until(`location.hash === "#dead?connector=brand-a&reason=no_identity"`)
	page.Shows(".acts .danger", "Purge these 2")
	page.Click(".acts .danger")
	page.Shows("#ask p", "brand-a: 2 letters, 2 events.")
	page.Click("#ask .danger")
	page.Shows("#toast", "2 dead letters purged")
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 1 && s.Purged == 2 })
	page.Shows("main", "None is chosen by this.")

	// What no replay can help stays, and the page says so.
	page.Go(r.at.Admin + "/#dead")
	page.Until(`document.querySelectorAll("a.row").length === 2`)
	page.Click(".acts button:not(.danger)")
	page.Shows("#ask h2", "Replay 2 dead letters?")
	page.Click("#ask button.main")
	page.Shows("#toast", "1 dead letter replayed, 1 cannot be helped and stay")
}

func testParked(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	r.refuse("poison", http.StatusForbidden)
	r.post("brand-a", event("e1", ""), event("e2", `,"is":"poison"`), event("e3", ""))
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Delivered == 2 })
	r.post("brand-a", event("e4", "")) // the event is a suspect once another one was accepted after it
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Parked == 1 && s.Delivered == 3 })

	page := r.page(browser, "#pending")
	page.Shows("td", "403 ")
	page.Shows("td", "blocked by a rule")
	require.NotContains(t, page.Text("document.body.innerText"), "person-e2")
	page.Click("td a.button")
	page.Shows(".detail .code", `"person-e2"`)
	page.Press(kb.Escape)
	page.Until(`document.querySelector(".detail") === null`)
	page.Click("td button.danger")
	page.Shows("#ask p", "users.behaviors.CustomEvent of brand-a")
	page.Click("#ask .danger")
	page.Shows("#toast", "1 event is a dead letter")
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Dead == 1 && s.Parked == 0 })
}

func testFailing(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	require.NoError(t, r.rudder.Fault(mockrudder.Fault{ID: "key", Status: http.StatusUnauthorized, Body: "invalid write key <script>", Source: "wk-brand-b"}))
	r.post("brand-b", event("e1", ""))
	page := r.page(browser, "")
	page.Shows(`[data-key=brand-b] .badge`, "paused")
	page.Shows(`[data-key=brand-b] .note`, "invalid write key <script>")
	page.Shows(`[data-key=brand-b] .head`, "for ")
	page.Shows("#state-text", "1 of 2 destinations in trouble")
	page.Until(`document.querySelector("[data-key=brand-a] [data-do=resume]") === null`)
	require.True(t, r.rudder.RemoveFault("key"))
	page.Click(`[data-key=brand-b] [data-do=resume]`)
	page.Shows("#toast", "brand-b is tried at once")
	page.Shows(`[data-key=brand-b] .badge`, "ok")
	r.until("brand-b", func(s admin.ConnectorStatus) bool { return s.Delivered == 1 })
}

func testHistory(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	r.post("brand-a", event("e1", ""), event("e2", ""))
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Delivered == 2 })
	page := r.page(browser, "#history")
	page.Shows(".facts", "ago")
	page.Choose("[name=connector]", "brand-a")
	page.Type("[name=since]", "nonsense")
	page.Press(kb.Enter)
	page.Click("#ask button.main")
	page.Shows("#ask p", "since must be a time such as")
	page.Forgive() // the answer 400 is in the console
	page.Click("#ask button")
	page.Choose("[name=since]", "1h")
	page.Click(".filters button")
	page.Shows("#ask p", "brand-a, received since 1h.")
	page.Click("#ask button.main")
	page.Shows("#toast", "The replay has started")
	page.Shows(".replay .badge", "ended")
	page.Shows(".replay .facts", "Delivered again2")
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Replayed == 2 })
}

func testLogin(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "s3cret")
	page := r.page(browser, "#settings")
	page.Shows("h2", "Log in")
	page.Type("[name=token]", "wrong")
	page.Press(kb.Enter)
	page.Shows("#ask p", "this is not the admin token")
	page.Forgive() // the answer 401 is in the console
	page.Click("#ask button")
	page.Choose("[name=token]", "s3cret")
	page.Click(".login button")
	page.Shows(".settings", "admin_token")
	require.NotContains(t, page.Text("document.body.innerText"), "s3cret")
	require.NotContains(t, page.Text("location.href"), "s3cret")
	require.Empty(t, page.Text("document.cookie"), "no script may read it")
	require.Equal(t, "0", page.Text("localStorage.length + sessionStorage.length"))

	page.Go(r.at.Admin + "/#dead") // a reload needs no login
	page.Shows("main", "There are none")
	page.Click("#logout")
	page.Shows("h2", "Log in")
	page.Forgive()
	again := r.page(browser, "")
	again.Shows("h2", "Log in")
}

func testOverview(t *testing.T, browser *browsertest.Browser, r *running) {
	page := r.page(browser, "")
	page.Until(`document.querySelector("[data-key=brand-a] .chart polyline.out") !== null`) // two samples
	page.Shows("[data-key=brand-a] .ledger", "received500")
	page.Shows("[data-key=brand-a] .counters small", "p99 ")
	page.Shows(".card", "Read from end to end")
	page.Click("summary")
	page.Until(`document.querySelector("[data-key=brand-a] details").open`)

	page.Go(r.at.Admin + "/#overview") // a reload has the same chart
	page.Until(`document.querySelector("[data-key=brand-a] .chart polyline.out") !== null`)
	page.Click(`#tabs a[href="#drift"]`)
	page.Shows("td", "users.messages.pigeon.Send")
	page.Click(`#tabs a[href="#settings"]`)
	page.Shows(".settings", "retain.age")
	text := page.Text("document.body.innerText")
	for _, secret := range []string{"tok-brand-a", "wk-brand-a"} {
		require.NotContains(t, text, secret)
	}
	require.Contains(t, text, "schema version")
}

func testKeys(t *testing.T, browser *browsertest.Browser) {
	r := run(t, "")
	noUser := `{"id":"%","event_type":"users.messages.email.Open","user":{}}`
	r.post("brand-a", strings.Replace(noUser, "%", "n1", 1), strings.Replace(noUser, "%", "n2", 1))
	page := r.page(browser, "")
	page.Size(390, 844, true)
	page.Shows("h2", "brand-a")
	page.Press("3")
	page.Until(`document.querySelectorAll("a.row").length === 2`)
	page.Press(kb.ArrowDown + kb.ArrowDown)
	page.Until(`document.activeElement.textContent.includes("n2")`)
	page.Press(kb.Enter)
	page.Shows(".detail .facts", "n2")
	page.Until(`document.activeElement.textContent.includes("n2")`)
	page.Press(kb.Escape)
	page.Until(`document.querySelector(".detail") === null`)
	page.Press("/")
	page.Until(`document.activeElement.name === "type"`)
	for _, view := range []string{"overview", "pending", "dead", "history", "drift", "settings"} {
		page.Go(r.at.Admin + "/#" + view)
		page.Shows("#tabs [aria-current]", "")
		page.Until(`document.documentElement.scrollWidth <= innerWidth`)
	}
}
