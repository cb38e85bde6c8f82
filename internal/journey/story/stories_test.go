package story

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // so that zones are known on every machine
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/internal/scenario"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// requireAlphabetical encodes an event again, and the objects in it apart from the free
// ones: package json sorts the members.
func requireAlphabetical(t testing.TB, object []byte) {
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &members))
	var sorted bytes.Buffer
	encoder := json.NewEncoder(&sorted)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(members))
	require.Equal(t, string(object)+"\n", sorted.String())
	for _, name := range []string{"user", "properties"} {
		if inner := members[name]; len(inner) > 0 && inner[0] == '{' {
			requireAlphabetical(t, inner)
		}
	}
}

var soak = flag.Bool("soak", false, "streams ten times as long")

func streamOf(n int) int {
	if *soak {
		n *= 10
	}
	return n
}

func builtin(t testing.TB, name string) *scenario.Scenario {
	return journeytest.Scenario(t, "base: "+name)
}

func stories(t testing.TB, seed uint64, s *scenario.Scenario, types ...string) *Stories {
	out, err := New(Config{Glossary: journeytest.Glossary(t), Seed: seed, Scenario: s, Types: types})
	require.NoError(t, err)
	return out
}

func first(t testing.TB, n int, s *Stories) iter.Seq2[journeytest.Event, time.Time] {
	return while(t, s, func(i int, _ time.Time) bool { return i < n })
}

// during reads the events of stories that come within a time.
func during(t testing.TB, d time.Duration, s *Stories) iter.Seq2[journeytest.Event, time.Time] {
	return while(t, s, func(_ int, at time.Time) bool { return at.Sub(journey.Reference()) <= d })
}

func while(t testing.TB, s *Stories, more func(i int, at time.Time) bool) iter.Seq2[journeytest.Event, time.Time] {
	return func(yield func(journeytest.Event, time.Time) bool) {
		raw, _, at := s.Next(nil)
		for i := 0; more(i, at) && yield(journeytest.Decode(t, raw), at); i++ {
			raw, _, at = s.Next(raw[:0])
		}
	}
}

// TestEventsOfEveryScenarioAreValid also counts the types of each stretch of
// 20,000 events.
func TestEventsOfEveryScenarioAreValid(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	for _, name := range scenario.Names() {
		t.Run(name, func(t *testing.T) {
			s := stories(t, 1, builtin(t, name))
			var buf []byte
			var before time.Time
			count := make(map[string]int)
			for i := range streamOf(20_000) {
				event, typ, at := s.Next(buf[:0])
				buf = event
				if i%5 == 0 || *soak {
					if verdict := v.Event(event); !verdict.Valid || len(verdict.Drift) > 0 {
						t.Fatalf("%v %v\n%.3000s", verdict.Errors, verdict.Drift, event)
					}
				}
				if at.Before(before) || len(event) > 900_000 {
					t.Fatalf("%d bytes at %s, after %s", len(event), at, before)
				}
				before = at
				count[typ]++
				if i%20_000 == 19_999 {
					require.Len(t, count, len(journeytest.Glossary(t).Current()), "%d: %v", i, missing(t, count))
					t.Logf("%d events by %s, %d to come", i+1, at, len(s.agenda.due))
					clear(count)
				}
			}
		})
	}
}

func missing(t *testing.T, count map[string]int) (list []string) {
	for _, name := range journeytest.Glossary(t).Current() {
		if count[name] == 0 {
			list = append(list, name)
		}
	}
	return list
}

func digestOf(s *Stories, n int) string {
	sum := sha256.New()
	var buf []byte
	for range n {
		buf, _, _ = s.Next(buf[:0])
		sum.Write(append(buf, '\n'))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func BenchmarkStories(b *testing.B) {
	for _, name := range scenario.Names() {
		b.Run(name, func(b *testing.B) {
			s := stories(b, 1, builtin(b, name))
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf, _, _ = s.Next(buf[:0])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func TestRepeatsAreTheSameBytesLater(t *testing.T) {
	s := stories(t, 1, journeytest.Scenario(t, "rough_edges: {repeats: {share: 5%, after: 5s..5m}, late: 3%}"))
	text, when := make(map[string]string), make(map[string]time.Time)
	repeats := 0
	for e, at := range first(t, 6_000, s) {
		if before, ok := text[e.ID]; ok {
			repeats++
			require.Equal(t, before, string(e.Raw))
			require.GreaterOrEqual(t, at.Sub(when[e.ID]), 5*time.Second)
			require.LessOrEqual(t, at.Sub(when[e.ID]), 6*time.Minute)
		}
		text[e.ID], when[e.ID] = string(e.Raw), at
	}
	require.InDelta(t, 300, repeats, 80)
}

func TestLateEventsHappenedBefore(t *testing.T) {
	s := stories(t, 1, journeytest.Scenario(t, "users: 1000\npace: 5%\nrough_edges: {repeats: 0%, late: {share: 10%, after: 1m..5m}}"))
	late, total := 0, 0
	ids := make(map[string]bool)
	for e, at := range first(t, streamOf(6_000), s) {
		if ids[e.ID] {
			t.Fatalf("an event that is late was sent in time, too: %s", e.Raw)
		}
		ids[e.ID] = true
		delay := at.Unix() - e.Time
		// A device is offline for an hour, and for so long after it.
		if delay < 0 || delay > 0 && (!plot.OnDevice(e.Type) || delay < 60 || delay > 3600+5*60+1) {
			t.Fatalf("%d seconds late: %s", delay, e.Raw)
		}
		if delay > 0 {
			late++
		}
		if plot.OnDevice(e.Type) {
			total++
		}
	}
	require.InDelta(t, 0.09, float64(late)/float64(total), 0.04)
}

func TestNamesAreNullOrOldAfterARename(t *testing.T) {
	s := journeytest.Scenario(t, "users: 1000\npace: 20%\nrough_edges: {renames: {every: 6h, for: 1h}}")
	nulls, renamed, names := 0, 0, make(map[string]string)
	for e := range first(t, 3_000, stories(t, 1, s, plot.Messages+"email.Send")) {
		id, name := e.Text("campaign_id"), e.Text("campaign_name")
		switch before := names[id]; {
		case id == "":
		case name == "":
			require.Contains(t, e.Properties, "campaign_name")
			nulls++
		case before != "" && before != name:
			renamed++
			fallthrough
		default:
			names[id] = name
		}
	}
	require.Positive(t, nulls)
	require.Positive(t, renamed, "%v", names)
}

// TestDriftIsNewAndValid drifts stories and rounds.
func TestDriftIsNewAndValid(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	known := make(map[string]bool)
	for _, e := range journeytest.Glossary(t).Events {
		known[e.Name] = true
	}
	s := stories(t, 1, journeytest.Scenario(t, "rough_edges: {drift: 10%, huge: 0%}"))
	r, err := journey.New(journey.Config{Glossary: journeytest.Glossary(t), Seed: 3, Retired: true, Drift: 100_000})
	require.NoError(t, err)
	plain, err := journey.New(journey.Config{Glossary: journeytest.Glossary(t), Seed: 3, Retired: true})
	require.NoError(t, err)
	for source, next := range map[string]func(i uint64) ([]byte, string){
		"stories": func(uint64) ([]byte, string) { raw, typ, _ := s.Next([]byte("before")); return raw[6:], typ },
		"rounds": func(i uint64) ([]byte, string) {
			return r.Append(nil, i), r.Type(i)
		},
	} {
		drifted, types, rules := 0, 0, make(map[string]bool)
		for i := range uint64(streamOf(2_000)) {
			raw, typ := next(i)
			verdict := v.Event(raw)
			if !verdict.Valid || journeytest.Decode(t, raw).Type != typ {
				t.Fatalf("%s: %v\n%s", typ, verdict.Errors, raw)
			}
			if len(verdict.Drift) == 0 && source == "rounds" {
				require.Equal(t, string(plain.Append(nil, i)), string(raw), "what does not drift stays the same")
			}
			requireAlphabetical(t, raw)
			if len(verdict.Drift) > 0 {
				drifted++
				rules[verdict.Drift[0].Path[:strings.LastIndexByte(verdict.Drift[0].Path, '/')+1]] = true
			}
			if !known[typ] {
				types++
			}
		}
		require.InDelta(t, 0.1, float64(drifted)/float64(streamOf(2_000)), 0.025, source)
		require.InDelta(t, 0.02, float64(types)/float64(streamOf(2_000)), 0.01, source)
		require.Greater(t, len(rules), 2, "%v", rules)
	}
}

func TestStoriesAreTheSameWhateverTheConcurrency(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for _, name := range scenario.Names() {
		digests := make([]string, 2)
		var wg sync.WaitGroup
		for i := range digests {
			wg.Go(func() { digests[i] = digestOf(stories(t, 42, builtin(t, name)), 5_000) })
		}
		wg.Wait()
		for _, digest := range digests {
			// Written down so that another machine or day is held against this one.
			require.Equal(t, storyDigests[name], digest, "the events of a seed have changed in %s", name)
		}
	}
}

var storyDigests = map[string]string{
	"steady":     "eadccfaf16cc4056b975685fc5e8cdc880d6bb7fa41220e149d12b9821d536df",
	"flash-sale": "995f73fed13d5cc598784f628d31e5bb1a6fb1ef95112699dfaa600dcc20dc76",
	"newsletter": "0f90b0cedfa063daa5454869b66eddf5566917b4d0a6a272d7ac7e3ad6cc1d54",
	"quiet":      "e2f397c3ada000254a8ea3bb9ade42b7c9d19cfd8b292abe9a643147d42e256d",
}

func TestSeedsAndStreamsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for stream := range uint64(3) {
		s, err := New(Config{Glossary: journeytest.Glossary(t), Seed: 1, Stream: stream, Scenario: builtin(t, "quiet")})
		require.NoError(t, err)
		for e := range first(t, 1000, s) {
			require.False(t, seen[e.ID])
			seen[e.ID] = true
		}
	}
	require.NotEqual(t, digestOf(stories(t, 1, builtin(t, "quiet")), 10), digestOf(stories(t, 2, builtin(t, "quiet")), 10))
}

// TestNarrowedStoriesAreTheSame holds a selection against the whole.
func TestNarrowedStoriesAreTheSame(t *testing.T) {
	whole, some := stories(t, 5, builtin(t, "steady")), stories(t, 5, builtin(t, "steady"), plot.Messages+"email.*", plot.Converted)
	var want []string
	for range 10_000 {
		raw, typ, _ := whole.Next(nil)
		if strings.HasPrefix(typ, plot.Messages+"email.") || typ == plot.Converted {
			want = append(want, string(raw))
		}
	}
	require.Greater(t, len(want), 500)
	for _, line := range want {
		raw, _, _ := some.Next(nil)
		require.Equal(t, line, string(raw))
	}
}

// TestAMillionPeopleNeedLittle counts what is kept of a large workspace and of a
// long stream.
func TestAMillionPeopleNeedLittle(t *testing.T) {
	s := stories(t, 1, journeytest.Scenario(t, "base: flash-sale\nusers: 1_000_000\nrough_edges: {huge: 0%}"), plot.Converted)
	kept := func() (bytes uintptr) {
		bytes += 4 * uintptr(len(s.people)) * unsafe.Sizeof(person{})
		for _, due := range s.agenda.due {
			bytes += uintptr(cap(due)) * unsafe.Sizeof(entry{})
		}
		return bytes + 2*uintptr(len(s.firsts))*(unsafe.Sizeof(firstKey{})+2)
	}
	require.Less(t, kept(), uintptr(1<<20), "people are stored")
	var buf []byte
	for s.made < 150_000 {
		buf, _, _ = s.Next(buf[:0])
	}
	require.EqualValues(t, 1_000_000, s.pop.Users())
	require.Less(t, kept(), uintptr(64<<20))
}

// TestATypeOfANewerGlossaryHappens adds a type that no journey knows, with what
// it needs of a campaign and a Canvas.
func TestATypeOfANewerGlossaryHappens(t *testing.T) {
	g := journeytest.Glossary(t)
	typ, _ := g.Event("users.messages.email.Open")
	news := schemas.EventType{Name: "users.messages.smoke.Signal", User: typ.User, Properties: []schemas.Field{
		{Name: "campaign_id", Type: "string", Required: true}, {Name: "next_step_id", Type: "string", Required: true},
		{Name: "canvas_id", Type: "string", Required: true}, {Name: "send_time", Type: "integer", Required: true},
		{Name: "duration", Type: "number", Required: true}, {Name: "smoke_colour", Type: "string", Required: true},
	}}
	raw, err := g.Encode()
	require.NoError(t, err)
	g, err = schemas.Parse(raw)
	require.NoError(t, err)
	g.Events = append(g.Events, news)
	s, err := New(Config{Glossary: g, Scenario: builtin(t, "steady"), Types: []string{news.Name}})
	require.NoError(t, err)
	for range 3 {
		event, name, _ := s.Next(nil)
		require.Equal(t, news.Name, name)
		require.Len(t, journeytest.Decode(t, event).Properties, len(news.Properties), "%s", event)
	}
}

// TestTheAgendaStaysBounded simulates a fortnight of a small workspace.
func TestTheAgendaStaysBounded(t *testing.T) {
	s := stories(t, 1, journeytest.Scenario(t, "users: 200\npace: 5%"), "users.UserDeleteRequest")
	most := func(days int64) (n int) {
		for s.minute*60 < s.begin+days*86400 {
			s.Next(nil)
			n = max(n, len(s.agenda.due))
		}
		return n
	}
	week := most(8)
	require.Less(t, most(16), week+week/2, "what is to come grows")
}

func TestNewFails(t *testing.T) {
	require.Equal(t, population.Push, population.Channels()[pushChannel])
	_, err := New(Config{Glossary: journeytest.Glossary(t), Types: []string{"nope"}})
	require.ErrorContains(t, err, `"nope"`)
	_, err = New(Config{Glossary: journeytest.Glossary(t), Scenario: &scenario.Scenario{Users: 20}})
	require.ErrorContains(t, err, "no outcome")
}

// TestHoursMatter looks at the local time of each person.
func TestHoursMatter(t *testing.T) {
	s := journeytest.Scenario(t, strings.Replace(eventful, "users: 400", "users: 2000", 1)+
		"pace: 10%\nquiet_hours: {from: \"21:00\", to: \"09:00\", channels: [push, sms]}\n")
	var visits [24]int
	zones := map[string]*time.Location{} // reading one takes longer than all else here
	sends := 0
	for e := range during(t, 27*time.Hour, stories(t, 7, s, plot.Custom, plot.Messages+"pushnotification.Send", plot.Messages+"sms.Send")) {
		zone := e.Text("timezone")
		if zone == "" {
			continue
		}
		if zones[zone] == nil {
			where, err := time.LoadLocation(zone)
			require.NoError(t, err)
			zones[zone] = where
		}
		hour := time.Unix(e.Time, 0).In(zones[zone]).Hour()
		if e.Type == plot.Custom {
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
		_, offset := journey.Reference().In(where).Zone()
		require.Equal(t, offset/60, place.Offset, place.Zone)
	}
	require.Greater(t, len(seen), 20)
}

// TestRatesAreThoseOfTheScenario counts what comes of many sends.
func TestRatesAreThoseOfTheScenario(t *testing.T) {
	s := journeytest.Scenario(t, `
users: 5000
rough_edges: {repeats: 0%, late: 0%}
outcomes: {email: {bounce: 20%, soft_bounce: 0%, deferral: 0%, open: {share: 50%, after: 1s..1m}, abort: 0%, retry: 0%}}
campaigns: [{channel: email, every: 1d, at: "00:00", over: 1h, audience: 40%}]
`)
	count := make(map[string]int)
	reached := make(map[string]bool)
	for e := range during(t, 70*time.Minute, stories(t, 8, s, plot.Messages+"email.*", plot.Enrolled)) {
		count[e.Type]++
		if e.Type == plot.Messages+"email.Send" && e.Text("campaign_id") != "" {
			key := e.Text("user_id") + " " + e.Text("dispatch_id")
			require.False(t, reached[key], "sent twice: %v", e)
			reached[key] = true
		}
	}
	sent := float64(count[plot.Messages+"email.Send"])
	require.InDelta(t, 5000*0.4*0.95, sent, 120, "%v", count)
	require.InDelta(t, 0.2, float64(count[plot.Messages+"email.Bounce"])/sent, 0.03, "%v", count)
	require.InDelta(t, 0.4, float64(count[plot.Messages+"email.Open"])/sent, 0.05, fmt.Sprint(count))
}
