package mockrudder_test

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

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

var (
	screenshots = flag.String("screenshots", "", "write pictures of the page into this directory, which takes two minutes")
	traffic     = flag.Int("traffic", 120, "for how many seconds messages are sent before the pictures are taken")
)

// TestScreenshots makes the pictures in docs/:
//
//	go test ./browser/mockrudder -run TestScreenshots -screenshots ../../docs
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures asked for: give -screenshots DIR")
	}
	rudder := mockrudder.Start(t)
	fillForPicture(t, rudder)
	browser := browsertest.Start(t)
	invalid := rudder.Events(mockrudder.Filter{OnlyInvalid: true})
	require.NotEmpty(t, invalid)
	shown := invalid[len(invalid)-1].ID()

	url := rudder.URL + "/_mock/"
	for _, p := range []picture{
		{name: "mockrudder-page.png", url: url + "?open=" + shown, shows: "#detail .note"},
		{name: "mockrudder-page-dark.png", dark: true, url: url, shows: ".row .badge.bad"},
		{name: "mockrudder-page-phone.png", phone: true, url: url + "?open=" + shown, shows: "#detail .note"},
	} {
		t.Run(p.name, func(t *testing.T) { p.take(t, browser.Open(t, rudder.URL)) })
	}
}

// picture is one screenshot.
type picture struct {
	name, url   string
	dark, phone bool
	shows       string // a selector that is waited for
}

func (p picture) take(t *testing.T, page *browsertest.Page) {
	if p.phone {
		page.Size(390, 844, true)
	} else {
		page.Size(1440, 900, false)
	}
	page.Scheme(map[bool]string{false: "light", true: "dark"}[p.dark])
	page.Go(p.url)
	page.Until(`document.querySelectorAll("#chart rect").length > 0 && ["live", "off"].includes(document.body.dataset.state)`)
	page.Shows(p.shows, "")
	if strings.Contains(p.url, "open=") && !p.phone {
		page.Shows(".row.selected", "")
	}
	page.Until(`document.querySelector(".row.waiting") === null`)
	require.NoError(t, os.WriteFile(filepath.Join(*screenshots, p.name), page.Screenshot(), 0o644))
}

// fillForPicture sends what a busy test would, for two minutes: every event
// type, a few of them broken, in waves.
func fillForPicture(t *testing.T, rudder *mockrudder.Server) {
	var out bytes.Buffer
	require.NoError(t, mockbraze.Emit(t.Context(), &out, mockbraze.Emission{Events: 30_000, Seed: 7}))
	events := strings.Split(strings.TrimSpace(out.String()), "\n")
	breaks := strings.NewReplacer(`"is_amp":false`, `"is_amp":"false"`, `"is_amp":true`, `"is_amp":"yes"`, `"send_id":"`, `"sendID":"`)
	at := 0
	for second := range *traffic {
		n := int(150 + 90*math.Sin(float64(second)/11) + 40*math.Sin(float64(second)/3))
		batch := make([]string, 0, n)
		for range n {
			event := events[at%len(events)]
			if at++; at%9 == 0 {
				event = breaks.Replace(event)
			}
			batch = append(batch, event)
		}
		if second < *traffic-1 {
			post(t, rudder.WebhookURL("wkBraze"), "", `{"events":[`+strings.Join(batch, ",")+`]}`)
			time.Sleep(time.Second)
			continue
		}
		for i, event := range batch[:20] {
			if i%7 == 3 {
				event = breaks.Replace(strings.Replace(event, `"app_group_id":"`, `"app_group_id":1,"x":"`, 1))
			}
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
