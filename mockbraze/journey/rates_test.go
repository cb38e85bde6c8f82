package journey

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
)

// TestHoursMatter looks at the clock on the wall of each person.
func TestHoursMatter(t *testing.T) {
	s := parsed(t, strings.Replace(eventful, "users: 400", "users: 2000", 1)+
		"pace: 10%\nquiet_hours: {from: \"21:00\", to: \"09:00\", channels: [push, sms]}\n")
	var visits [24]int
	sends, zones := 0, make(map[string]*time.Location)
	st := stories(t, 7, s, custom, messages+"pushnotification.Send", messages+"sms.Send")
	var buf []byte
	for {
		event, typ, at := st.Next(buf[:0])
		if buf = event; at.Sub(Reference()) > 27*time.Hour {
			break
		}
		e := decode(t, event)
		zone := e.text("timezone")
		if zone == "" {
			continue
		}
		where, known := zones[zone]
		if !known {
			var err error
			where, err = time.LoadLocation(zone)
			require.NoError(t, err)
			zones[zone] = where
		}
		hour := time.Unix(e.Time, 0).In(where).Hour()
		if typ == custom {
			visits[hour]++
			continue
		}
		sends++
		if hour < 9 || hour >= 21 {
			t.Fatalf("%d o'clock in %s: %v", hour, zone, e)
		}
	}
	require.Greater(t, sends, 500)
	require.Greater(t, visits[20], 4*visits[3], "%v", visits)
	require.Greater(t, visits[12], 2*visits[5], "%v", visits)
}

func TestOffsetsAreThoseOfTheZones(t *testing.T) {
	p := population.New(population.Config{Seed: 1})
	seen := make(map[string]bool)
	for i := range p.Users() {
		place := p.PlaceOf(i, 0)
		if seen[place.Zone] {
			continue
		}
		seen[place.Zone] = true
		where, err := time.LoadLocation(place.Zone)
		require.NoError(t, err)
		_, offset := Reference().In(where).Zone()
		require.Equal(t, offset/60, place.Offset, place.Zone)
	}
	require.Greater(t, len(seen), 20)
}

// TestRatesAreThoseOfTheScenario counts what comes of many sends.
func TestRatesAreThoseOfTheScenario(t *testing.T) {
	s := parsed(t, `
users: 5000
rough_edges: {repeats: 0%, late: 0%}
outcomes: {email: {bounce: 20%, soft_bounce: 0%, deferral: 0%, open: {share: 50%, after: 1s..1m}, abort: 0%, retry: 0%}}
campaigns: [{channel: email, every: 1d, at: "00:00", over: 1h, audience: 40%}]
`)
	count := make(map[string]int)
	reached := make(map[string]bool)
	st := stories(t, 8, s, messages+"email.*", enrolled)
	var buf []byte
	for {
		event, typ, at := st.Next(buf[:0])
		if buf = event; at.Sub(Reference()) > 70*time.Minute {
			break
		}
		e := decode(t, event)
		count[typ]++
		if typ == messages+"email.Send" && e.text("campaign_id") != "" {
			key := e.text("user_id") + " " + e.text("dispatch_id")
			if reached[key] {
				t.Fatalf("sent twice: %v", e)
			}
			reached[key] = true
		}
	}
	sent := float64(count[messages+"email.Send"])
	require.InDelta(t, 5000*0.4*0.95, sent, 120, "%v", count)
	require.InDelta(t, 0.2, float64(count[messages+"email.Bounce"])/sent, 0.03, "%v", count)
	require.InDelta(t, 0.4, float64(count[messages+"email.Open"])/sent, 0.05, fmt.Sprint(count))
}
