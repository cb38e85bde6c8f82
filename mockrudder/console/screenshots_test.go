package console_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/browsertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

var screenshots = flag.String("screenshots", "", "write pictures of the page into this directory, which takes two minutes")

// TestScreenshots makes the pictures in docs/:
//
//	go test ./mockrudder/console -run TestScreenshots -screenshots ../../docs
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures asked for: give -screenshots DIR")
	}
	rudder := mockrudder.Start(t)
	fillForPicture(t, rudder)
	browser := browsertest.Start(t)
	invalid := rudder.Events(mockrudder.Filter{OnlyInvalid: true, Event: "users.messages.email.Click"})
	require.NotEmpty(t, invalid)
	shown := invalid[len(invalid)-1].ID()

	take := func(name, scheme string, width, height int, phone bool, query string, ready func(*browsertest.Page)) {
		page := browser.Open(t, rudder.URL)
		page.Size(width, height, phone)
		page.Scheme(scheme)
		page.Go(rudder.URL + "/_mock/" + query)
		page.Until(`document.querySelectorAll(".row:not(.waiting)").length > 5 && document.querySelectorAll("#chart rect").length > 20`)
		ready(page)
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name), page.Screenshot(), 0o644))
	}
	opened := func(page *browsertest.Page) { page.Shows("#detail .note", "") }
	nothing := func(*browsertest.Page) {}
	take("mockrudder-page.png", "light", 1440, 900, false, "?open="+shown, opened)
	take("mockrudder-page-dark.png", "dark", 1440, 900, false, "", nothing)
	take("mockrudder-page-phone.png", "light", 390, 844, true, "?open="+shown, opened)
	if os.Getenv("ALL_SCREENSHOTS") == "" {
		return
	}
	take("more-list-light.png", "light", 1440, 900, false, "", nothing)
	take("more-detail-dark.png", "dark", 1440, 900, false, "?open="+shown, opened)
	take("more-phone-list.png", "dark", 390, 844, true, "", nothing)
	take("more-phone-filters.png", "light", 390, 844, true, "?valid=false", func(page *browsertest.Page) { page.Click("#more-filters") })
	take("more-tablet.png", "light", 900, 1100, false, "", nothing)
	require.NoError(t, rudder.Fault(mockrudder.Fault{Status: 503, Probability: 0.25, Path: "/v1/batch"}))
	require.NoError(t, rudder.Fault(mockrudder.Fault{Close: mockrudder.Stored, Requests: 3, Latency: mockrudder.Duration(time.Second)}))
	faults := func(page *browsertest.Page) {
		page.Click("#open-faults")
		page.Shows(".fault-list li", "503")
	}
	take("more-faults.png", "light", 1440, 900, false, "", faults)
	take("more-faults-phone.png", "dark", 390, 844, true, "", faults)
	take("more-reset.png", "light", 1440, 900, false, "", func(page *browsertest.Page) { page.Click("#open-reset") })
	rudder.Reset()
	for name, phone := range map[string]bool{"more-empty.png": false, "more-empty-phone.png": true} {
		page := browser.Open(t, rudder.URL)
		page.Size(map[bool]int{false: 1440, true: 390}[phone], map[bool]int{false: 900, true: 844}[phone], phone)
		page.Go(rudder.URL + "/_mock/")
		page.Shows("#empty", "Waiting for the first event")
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name), page.Screenshot(), 0o644))
	}
}

// fillForPicture sends what a busy test would, for two minutes: every event
// type, a few of them broken, in waves.
func fillForPicture(t *testing.T, rudder *mockrudder.Server) {
	var out bytes.Buffer
	require.NoError(t, mockbraze.Emit(t.Context(), &out, mockbraze.Emission{Events: 30_000, Seed: 7}))
	events := strings.Split(strings.TrimSpace(out.String()), "\n")
	breaks := strings.NewReplacer(`"is_amp":false`, `"is_amp":"false"`, `"is_amp":true`, `"is_amp":"yes"`, `"send_id":"`, `"sendID":"`)
	at := 0
	for second := range 125 {
		n := int(150 + 90*math.Sin(float64(second)/11) + 40*math.Sin(float64(second)/3))
		batch := make([]string, 0, n)
		for range n {
			event := events[at%len(events)]
			if at++; at%9 == 0 {
				event = breaks.Replace(event)
			}
			batch = append(batch, event)
		}
		if second < 123 {
			post(t, rudder.WebhookURL("wkBraze"), "", `{"events":[`+strings.Join(batch, ",")+`]}`)
			time.Sleep(time.Second)
			continue
		}
		for _, event := range batch[:20] {
			post(t, rudder.WebhookURL("wkBraze"), "", `{"events":[`+event+`]}`)
		}
		for i := range 4 {
			body, err := json.Marshal(map[string]any{"userId": fmt.Sprintf("user-%d", i), "event": "Order Completed", "properties": map[string]any{"total": 12.5 * float64(i+1)}})
			require.NoError(t, err)
			post(t, rudder.URL+"/v1/track", "wkHTTP", string(body))
		}
	}
	post(t, rudder.URL+"/v1/track", "wrong", `{"userId":"a","event":"b"}`)
}
