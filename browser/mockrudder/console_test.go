package mockrudder_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// TestPage shows the page to a real browser.
func TestPage(t *testing.T) {
	browser := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, *console){
		"live":                          testLive,
		"filters":                       testFilters,
		"an invalid message":            testInvalid,
		"copies":                        testCopies,
		"faults":                        testFaults,
		"the form of faults":            testFaultForm,
		"a server that is gone":         testGone,
		"reset":                         testReset,
		"live=off and pause":            testOff,
		"keys":                          testKeys,
		"phone":                         testPhone,
		"hostile text":                  testHostile,
		"empty":                         testEmpty,
		"polling without a stream":      testPolling,
		"a scrolled list does not move": testStandsStill,
		"a hundred thousand messages":   testMany,
		"a large payload":               testLarge,
		"late: pause":                   testLatePause,
		"late: scroll":                  testLateScroll,
		"late: rows":                    testLateRows,
		"late: frame":                   testLateFrame,
		"late: step":                    testLateStep,
		"late: faults":                  testLateFaults,
	} {
		t.Run(name, func(t *testing.T) {
			if name != "copies" { // it has the clipboard for itself
				t.Parallel()
			}
			test(t, &console{mockrudder.Start(t), browser})
		})
	}
}

func testLive(t *testing.T, c *console) {
	page := c.show(t, "")
	page.Shows("#empty h2", "Waiting for the first event")

	c.track(t, "ada", "Order Completed")
	page.Shows(".row .event", "Order Completed")
	page.Shows(".row .user", "ada")
	page.Shows(".row .verdict", "valid")
	page.Until(`document.querySelector("#empty").hidden`)
	require.Equal(t, "live", page.Text("document.body.dataset.state"))

	c.braze(t, "id-1", "7")
	page.Until(`document.querySelector("[aria-rowindex='1'] .event").textContent === "users.behaviors.CustomEvent"`)
	page.Shows("[data-counter=stored]", "2")
	page.Shows("[data-counter=valid] dd", "1")
	page.Shows("[data-counter=invalid] dd", "1")

	require.Equal(t, http.StatusUnauthorized, post(t, c.URL+"/v1/track", "wrong", `{}`))
	page.Shows("[data-counter=refused]", "refused 4011")
	page.Until(`document.querySelectorAll("#chart .good").length > 0 && document.querySelectorAll("#chart .bad").length > 0`)
}

func testFilters(t *testing.T, c *console) {
	for i := range 5 {
		c.track(t, fmt.Sprintf("user-%d", i), "Viewed")
	}
	c.braze(t, "id-1", "7")
	page := c.show(t, "")
	rows(page, 6)

	page.Choose("[name=valid]", "false")
	rows(page, 1)
	page.Until(`location.search === "?valid=false"`)
	page.Choose("[name=valid]", "")
	page.Type("[name=userId]", "user-3")
	rows(page, 1)
	page.Shows(".row .user", "user-3")
	page.Click("#clear-filters")
	rows(page, 6)
	page.Until(`location.search === ""`)
	page.Press("/")
	page.Press("5f2a91c04d1e")
	rows(page, 1)
	page.Shows(".row .event", "users.behaviors.CustomEvent")
	page.Press(kb.Escape)
	rows(page, 6)
	page.Choose("[name=source]", "wkHTTP")
	rows(page, 5)
	page.Choose("[name=event]", "Other")
	page.Shows("#empty", "No message matches")
	c.track(t, "new", "Other")
	rows(page, 1)

	linked := c.show(t, "?event=Viewed&messageId=none")
	linked.Shows("#chips", "messageId: none")
	rows(linked, 0)
	linked.Click("#chips button")
	rows(linked, 5)
}

func testInvalid(t *testing.T, c *console) {
	c.track(t, "ada", "Before")
	c.braze(t, "id-1", "7")
	c.track(t, "ada", "After")
	page := c.show(t, "")
	rows(page, 3)
	page.Click("[aria-rowindex='2']")

	page.Shows("#detail h2", "users.behaviors.CustomEvent")
	found := c.Events(mockrudder.Filter{OnlyInvalid: true})[0].Errors
	require.NotEmpty(t, found)
	for _, f := range found {
		page.Shows(".findings .rule", f.Rule)
		page.Shows(".findings .what", f.Detail)
		page.Shows(".code .wrong .note", f.Rule+" "+f.Detail)
	}
	page.Until(`document.querySelector(".pane:first-child .wrong").dataset.pointer === "/properties/app_id"`)
	page.Shows(".pane:first-child .wrong .line", `"app_id": 7`)
	page.Shows(".pane:first-child h3", "Braze event")
	page.Shows(".pane:first-child .line", `"external_user_id": "ada"`)
	page.Shows(".pane:last-child .line", `"userId": "ada"`)
	page.Until(`location.search.startsWith("?open=")`)

	page.Click("[title='The next newer message']")
	page.Shows("#detail h2", "After")
	page.Click("[title='The next older message']")
	page.Shows("#detail h2", "CustomEvent")
	page.Click("[title='The next older message']")
	page.Shows("#detail h2", "Before")
	page.Until(`document.querySelector(".row.selected .event").textContent === "Before"`)
	page.Click("#close-detail")
	page.Until(`document.querySelector("#detail").hidden && location.search === ""`)

	linked := c.show(t, "?open="+c.Events(mockrudder.Filter{OnlyInvalid: true})[0].ID())
	linked.Shows("#detail .note", found[0].Rule)
	c.Reset()
	linked.Go(linked.Text("location.href"))
	linked.Shows("#detail", "no longer kept")
	require.Len(t, linked.Forgive(), 1, "the browser logs the 404")
}

func testFaults(t *testing.T, c *console) {
	page := c.show(t, "")
	page.Click("#open-faults")
	page.Shows(".fault-list", "None is in force")
	page.Choose("#faults [name=status]", "418")
	page.Choose("#faults [name=path]", "/v1/track")
	page.Choose("#faults [name=requests]", "5")
	page.Click("#faults button[type=submit]")
	page.Shows(".fault-list .does", "answers 418")
	page.Shows(".fault-list small", "/v1/track · 5 more")
	require.Equal(t, http.StatusTeapot, post(t, c.URL+"/v1/track", "wkHTTP", `{"userId":"a","event":"b"}`))
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/batch", "wkHTTP", `{"batch":[{"userId":"a","type":"track","event":"b"}]}`))
	page.Shows(".fault-list .hits", "1 hit")
	page.Shows("#fault-count", "1")

	page.Click(".fault-list button")
	page.Shows(".fault-list", "None is in force")
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", "wkHTTP", `{"userId":"a","event":"b"}`))
	require.Empty(t, c.Faults())

	page.Choose("#faults [name=kind]", "close")
	page.Choose("#faults [name=close]", "stored")
	page.Choose("#faults [name=percent]", "100")
	page.Choose("#faults [name=status]", "99") // of another kind, and ignored
	page.Click("#faults button[type=submit]")
	page.Shows(".fault-list .does", "stores, then closes")
	require.Zero(t, post(t, c.URL+"/v1/track", "wkHTTP", `{"userId":"a","event":"closed"}`))
	require.Equal(t, uint64(1), c.Count(mockrudder.Filter{Event: "closed"}))
}

// testFaultForm submits every preset and every kind of fault.
func testFaultForm(t *testing.T, c *console) {
	page := c.show(t, "")
	page.Click("#open-faults")
	submit := func(n int) {
		page.Click("#faults button[type=submit]")
		page.Until(fmt.Sprintf(`document.querySelectorAll(".fault-list button").length === %d`, n))
	}
	presets := int(page.Number(`document.querySelectorAll(".presets button").length`))
	for i := range presets {
		page.Click(fmt.Sprintf(".presets button:nth-child(%d)", i+1))
		submit(i + 1)
	}
	var kinds []string
	require.NoError(t, json.Unmarshal([]byte(page.Text(`JSON.stringify([...document.querySelector("#faults [name=kind]").options].map(o => o.value))`)), &kinds))
	require.Len(t, kinds, 8)
	for i, kind := range kinds {
		page.Choose("#faults [name=kind]", kind)
		page.Choose("#faults [name=latency]", "1ms")
		page.Choose("#faults [name=latency_max]", "2ms")
		submit(presets + i + 1)
	}
	list := c.Faults()
	require.Equal(t, mockrudder.Fault{ID: list[0].ID, Status: http.StatusServiceUnavailable}, list[0])
	last := list[len(list)-1]
	require.Equal(t, mockrudder.DatabaseDown, last.Database)
	require.Equal(t, mockrudder.Duration(2*time.Millisecond), last.LatencyMax)

	page.Choose("#faults [name=kind]", "status")
	page.Choose("#faults [name=latency]", "9ms")
	page.Click("#faults button[type=submit]") // more than latency_max
	page.Until(`!document.querySelector("#faults .wrong").hidden`)
	page.Shows("#faults .wrong", "latency")
	require.Len(t, page.Forgive(), 1, "the browser logs the 400")
	page.Press(kb.Escape)
	page.Until(`!document.querySelector("#faults").open`)
}

func testReset(t *testing.T, c *console) {
	require.NoError(t, c.Fault(mockrudder.Fault{Status: 503, Path: "/v1/batch"}))
	c.track(t, "ada", "Viewed")
	page := c.show(t, "")
	rows(page, 1)
	page.Click("#open-reset")
	page.Click("#reset-cancel")
	require.Equal(t, uint64(1), c.Count(mockrudder.Filter{}))
	page.Click("#open-reset")
	page.Click("#reset-keep")
	page.Shows("#empty h2", "Waiting for the first event")
	page.Shows("[data-counter=stored] dd", "0")
	require.Len(t, c.Faults(), 1)
	page.Click("#open-reset")
	page.Click("#reset-all")
	page.Until(`document.querySelector("#fault-count").hidden`)
	require.Empty(t, c.Faults())

	c.track(t, "ada", "Again")
	page.Shows(".row .event", "Again")
	c.Reset() // by another client
	page.Shows("#empty h2", "Waiting for the first event")
}

func testOff(t *testing.T, c *console) {
	c.track(t, "ada", "First")
	page := c.show(t, "?live=off")
	rows(page, 1)
	page.Shows("#state-text", "as it was when loaded")
	streams := `performance.getEntriesByType("resource").filter(e => e.name.includes("/_mock/stream")).length`
	c.track(t, "ada", "Second")
	time.Sleep(500 * time.Millisecond) // longer than the interval of the stream
	rows(page, 1)
	require.Zero(t, page.Number(streams))
	page.Click("#pause")
	rows(page, 2)
	page.Shows("#state-text", "live")
	page.Until(`location.search === ""`)

	page.Click("#pause")
	page.Shows("#state-text", "paused")
	c.track(t, "ada", "Third")
	time.Sleep(500 * time.Millisecond)
	rows(page, 2)
	page.Click("#pause")
	rows(page, 3)
}

// console is a mockrudder whose page is shown.
type console struct {
	*mockrudder.Server

	browser *browsertest.Browser
}

// post sends a body and returns the status, 0 for no answer.
func post(t testing.TB, url, key, body string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.SetBasicAuth(key, "")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

// track sends a message by the HTTP API.
func (c *console) track(t testing.TB, user, event string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"userId": user, "event": event, "properties": map[string]any{"a": 1}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", "wkHTTP", string(body)))
}

// braze sends a custom event as Braze does. app is JSON: anything but a text
// breaks the schema.
func (c *console) braze(t testing.TB, id, app string) {
	t.Helper()
	body := fmt.Sprintf(`{"events":[{"event_type":"users.behaviors.CustomEvent","id":%q,"time":1764000000,`+
		`"user":{"user_id":"5f2a91c04d1e","external_user_id":"ada"},"properties":{"app_id":%s,"name":"went","custom_properties":{},"ad_id":null}}]}`, id, app)
	require.Equal(t, http.StatusOK, post(t, c.WebhookURL("wkBraze"), "", body))
}

// show opens the page of a server and waits until it is live.
func (c *console) show(t testing.TB, query string) *browsertest.Page {
	t.Helper()
	page := c.browser.Open(t, c.URL)
	page.Size(1400, 900, false)
	page.Go(c.URL + "/_mock/" + query)
	page.Until(`["live", "off"].includes(document.body.dataset.state)`)
	return page
}

// rows waits for the list to have so many.
func rows(page *browsertest.Page, n int) {
	page.Until(fmt.Sprintf(`document.querySelector("#scroll").getAttribute("aria-rowcount") === "%d"`, n))
}
