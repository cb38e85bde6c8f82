package bridge_test

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

var screenshots = flag.String("screenshots", "", "write pictures of the page into this directory, which takes some minutes")

// TestScreenshots makes the pictures in docs/:
//
//	go test ./browser/bridge -run TestScreenshots -screenshots ../../docs
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures asked for: give -screenshots DIR")
	}
	r := run(t, "")
	busy(t, r)
	browser := browsertest.Start(t)
	letter := fmt.Sprintf("#dead?connector=brand-a&reason=refused&of=brand-a&open=%d", r.letters("refused")[0])
	for _, p := range []struct {
		file, fragment, shows, scheme string
		width, height                 int
	}{
		{"bridge-page.png", "", ".chart polyline.out", "light", 1280, 860},
		{"bridge-page-dead-letter.png", letter, ".detail .code", "dark", 1280, 860},
		{"bridge-page-phone.png", "", ".chart polyline.out", "light", 390, 844},
	} {
		page := browser.Open(t, r.at.Admin)
		page.Size(p.width, p.height, p.width < 500)
		page.Scheme(p.scheme)
		page.Go(r.at.Admin + "/" + p.fragment)
		page.Shows(p.shows, "")
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, p.file), page.Screenshot(), 0o644))
	}
}

// busy sends what a busy bridge gets, in waves, with things to look at: events that
// are refused, that are parked, and that nobody is in, a destination in trouble,
// what the glossary does not have, and a replay.
func busy(t *testing.T, r *running) {
	r.refuse("poison", http.StatusBadRequest)
	r.refuse("forbidden", http.StatusForbidden)
	const traffic = 240 // seconds
	events := generated(t, 40_000)
	at := 0
	for second := range traffic {
		for c, name := range []string{"brand-a", "brand-b"} {
			n := int(130 + 90*math.Sin(float64(second)/23+float64(c)) + 30*math.Sin(float64(second)/7))
			batch := make([]string, 0, n)
			for range n {
				batch = append(batch, strings.Replace(events[at%len(events)], `"id":"`, fmt.Sprintf(`"id":"%d-`, at/len(events)), 1))
				at++
			}
			r.post(name, batch...)
		}
		switch second {
		case 2:
			for i, what := range []string{"poison", "poison", "forbidden"} {
				r.post("brand-a", strings.Replace(event(fmt.Sprintf("5f2a91c0-4d1e-%04d", i), `,"note":"`+what+`"`), "12345678901234567890", "1", 1))
			}
			r.post("brand-a", strings.Replace(event("7d11f2b4-90aa", `,"mood":"new"`), "12345678901234567890", "1", 1),
				strings.Replace(event("7d11f2b4-90ab", ""), "behaviors.CustomEvent", "messages.pigeon.Send", 1))
		case traffic * 2 / 3:
			require.NoError(t, r.rudder.Fault(mockrudder.Fault{Status: http.StatusUnauthorized, Body: "Failed to read writeKey from header", Source: "wk-brand-b"}))
		}
		time.Sleep(time.Second) // the traffic of a second
	}
	resp, err := http.Post(r.at.Admin+"/api/replay?since=1h&connector=brand-a&rate=300", "", nil)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	r.until("brand-a", func(s admin.ConnectorStatus) bool { return s.Replayed > 0 && s.Parked == 1 && s.Dead > 2 })
}
