package journey

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func glossary(t testing.TB) *schemas.Glossary {
	t.Helper()
	g, err := schemas.Load()
	require.NoError(t, err)
	return g
}

func rounds(t testing.TB, seed uint64, types ...string) *Rounds {
	t.Helper()
	r, err := New(Config{Glossary: glossary(t), Seed: seed, Types: types})
	require.NoError(t, err)
	return r
}

// event is what the tests look at of an event.
type event struct {
	Type       string         `json:"event_type"`
	ID         string         `json:"id"`
	Time       int64          `json:"time"`
	User       map[string]any `json:"user"`
	Properties map[string]any `json:"properties"`
}

// decode is called for hundreds of thousands of events. That of require, which
// asks for its caller and keeps its arguments on the heap, took as long as the
// decoding here: loops over many events say t.Fatalf by themselves.
func decode(t testing.TB, raw []byte) event {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Helper()
		t.Fatalf("%v: %s", err, raw)
	}
	return e
}

func TestTypesComeInTurn(t *testing.T) {
	g := glossary(t)
	r := rounds(t, 1)
	types := g.Current()
	for i := range uint64(2 * len(types)) {
		want := types[int(i)%len(types)]
		require.Equal(t, want, decode(t, r.Append(nil, i)).Type)
		require.Equal(t, want, r.Type(i))
	}
}

func TestAnyTenInARowShowEveryField(t *testing.T) {
	g := glossary(t)
	r := rounds(t, 1)
	n := len(g.Current())
	for ti, name := range g.Current() {
		typ, _ := g.Event(name)
		var seen []map[string]bool
		for k := range 40 {
			e := decode(t, r.Append(nil, uint64(k*n+ti)))
			shown := make(map[string]bool)
			for _, part := range []map[string]any{e.User, e.Properties} {
				for name, v := range part {
					shown[name] = shown[name] || v != nil
				}
			}
			seen = append(seen, shown)
		}
		for from := range 31 {
			for _, f := range append(append([]schemas.Field{}, typ.User...), typ.Properties...) {
				found := false
				for _, shown := range seen[from : from+10] {
					found = found || shown[f.Name]
				}
				require.True(t, found, "%s.%s is in none of the ten events from %d on", typ.Name, f.Name, from)
			}
		}
	}
}

func TestOptionalFieldsComeAndGo(t *testing.T) {
	r := rounds(t, 1, "users.messages.email.Click")
	var missing, null, there int
	for i := range uint64(500) {
		switch v, ok := decode(t, r.Append(nil, i)).Properties["link_id"]; {
		case !ok:
			missing++
		case v == nil:
			null++
		default:
			there++
		}
	}
	require.Positive(t, missing)
	require.Positive(t, null)
	require.Greater(t, there, 300)
}

func TestSameBytesWhateverTheConcurrency(t *testing.T) {
	const n = 4800
	digest := func(workers int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		r := rounds(t, 42)
		events := make([][]byte, n)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := n - 1 - w; i >= 0; i -= workers {
					events[i] = r.Append(nil, uint64(i))
				}
			})
		}
		wg.Wait()
		sum := sha256.New()
		for _, e := range events {
			sum.Write(append(e, '\n'))
		}
		return fmt.Sprintf("%x", sum.Sum(nil))
	}
	one := digest(1)
	require.Equal(t, one, digest(4))
	require.Equal(t, one, digest(16))
	// Written down so that another machine or day is held against this one.
	require.Equal(t, goldenDigest, one, "the events of a seed have changed")
}

func TestSelectionGivesTheSameEvents(t *testing.T) {
	all, some := rounds(t, 3), rounds(t, 3, "users.messages.email.*")
	want := make(map[string][]string)
	for i := range uint64(102 * 5) {
		want[all.Type(i)] = append(want[all.Type(i)], string(all.Append(nil, i)))
	}
	got := make(map[string][]string)
	for i := range uint64(len(some.Types()) * 5) {
		require.Contains(t, some.Type(i), "users.messages.email.")
		got[some.Type(i)] = append(got[some.Type(i)], string(some.Append(nil, i)))
	}
	require.Len(t, got, len(some.Types()))
	for name, events := range got {
		require.Equal(t, want[name], events)
	}
}

func TestIdsAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	g := glossary(t)
	for stream := range uint64(2) {
		r, err := New(Config{Glossary: g, Seed: 5, Stream: stream})
		require.NoError(t, err)
		for i := range uint64(50_000) {
			id := string(r.AppendID(nil, i))
			require.False(t, seen[id], id)
			seen[id] = true
		}
	}
	require.Equal(t, decode(t, rounds(t, 5).Append(nil, 7)).ID, string(rounds(t, 5).AppendID(nil, 7)))
}

func TestOtherSeedsGiveOtherEvents(t *testing.T) {
	a, b := decode(t, rounds(t, 1).Append(nil, 3)), decode(t, rounds(t, 2).Append(nil, 3))
	require.NotEqual(t, a.ID, b.ID)
	require.NotEqual(t, a.Properties["app_group_id"], b.Properties["app_group_id"])
}

func TestEveryoneHasAnIdentity(t *testing.T) {
	r := rounds(t, 1)
	anonymous, total := 0, 0
	for i := range uint64(102 * 50) {
		e := decode(t, r.Append(nil, i))
		if e.Type == "agentconsole.ToolInvocation" {
			require.Empty(t, e.User)
			continue
		}
		id, _ := e.User["user_id"].(string)
		external, _ := e.User["external_user_id"].(string)
		require.NotEmpty(t, id+external, "%s", r.Append(nil, i))
		total++
		if external == "" {
			anonymous++
		}
	}
	share := float64(anonymous) / float64(total)
	require.Greater(t, share, 0.03)
	require.Less(t, share, 0.2)
}

// TestThingsAgree follows what belongs together over many events.
func TestThingsAgree(t *testing.T) {
	// A small workspace, so that its people come up again.
	r, err := New(Config{Glossary: glossary(t), Population: population.New(population.Config{Seed: 1, Users: 40})})
	require.NoError(t, err)
	pairs := []struct{ key, value string }{
		{"user_id", "external_user_id"}, {"user_id", "device_id"}, {"user_id", "timezone"},
		{"user_id", "email_address"}, {"user_id", "to_phone_number"}, {"user_id", "platform"},
		{"user_id", "device_model"}, {"user_id", "push_token"}, {"user_id", "gender"},
		{"campaign_id", "campaign_name"}, {"message_variation_id", "message_variation_name"},
		{"canvas_id", "canvas_name"}, {"canvas_step_id", "canvas_step_name"},
		{"canvas_variation_id", "canvas_variation_name"}, {"canvas_step_id", "canvas_id"},
		{"dispatch_id", "message_source"}, {"send_id", "message_source"},
		{"agent_id", "agent_name"}, {"endpoint_url", "host"}, {"app_id", "platform"},
		{"platform", "ad_id_type"}, {"session_id", "user_id"}, {"canvas_entry_id", "user_id"},
	}
	known := make(map[string]any)
	met := make(map[string]int)
	for i := range uint64(102 * 120) {
		e := decode(t, r.Append(nil, i))
		for name, v := range e.User {
			e.Properties[name] = v
		}
		if source, ok := e.Properties["campaign_id"]; ok && source != nil {
			e.Properties["message_source"] = source
		} else {
			e.Properties["message_source"] = e.Properties["canvas_step_id"]
		}
		for _, p := range pairs {
			a, b := e.Properties[p.key], e.Properties[p.value]
			if a == nil || b == nil {
				continue
			}
			at := p.key + "→" + p.value + " " + fmt.Sprint(a)
			if before, ok := known[at]; ok {
				met[p.key+"→"+p.value]++
				if before != b {
					t.Fatalf("%s was %v before %v", at, before, e)
				}
			}
			known[at] = b
		}
	}
	for _, p := range pairs {
		require.NotZero(t, met[p.key+"→"+p.value], "%v was never seen twice", p)
	}
}

func TestFullShowsEverything(t *testing.T) {
	g := glossary(t)
	r := rounds(t, 1)
	for ti, name := range g.Current() {
		e := decode(t, r.AppendFull(nil, ti))
		typ, _ := g.Event(name)
		for _, f := range typ.User {
			require.NotNil(t, e.User[f.Name], "%s user.%s", e.Type, f.Name)
		}
		for _, f := range typ.Properties {
			require.NotNil(t, e.Properties[f.Name], "%s properties.%s", e.Type, f.Name)
		}
	}
}

func TestKeyOrder(t *testing.T) {
	raw := string(rounds(t, 1, "users.messages.email.Open").Append(nil, 0))
	at := -1
	for _, key := range []string{`{"event_type":`, `"id":`, `"time":`, `"user":{`, `"properties":{`} {
		i := strings.Index(raw, key)
		require.Greater(t, i, at, "%s in %s", key, raw)
		at = i
	}
}

func TestSelect(t *testing.T) {
	g := glossary(t)
	names, err := Select(g, []string{"users.messages.email.Open", "users.canvas.*", "users.messages.email.O*"})
	require.NoError(t, err)
	require.Equal(t, "users.canvas.Conversion", names[0])
	require.Equal(t, "users.messages.email.Open", names[len(names)-1])
	all, err := Select(g, nil)
	require.NoError(t, err)
	require.Equal(t, g.Current(), all)
	retired, err := Select(g, []string{"users.messages.newsfeedcard.Click"})
	require.NoError(t, err)
	require.Len(t, retired, 1, "asked for by its name")
	star, err := Select(g, []string{"*"})
	require.NoError(t, err)
	require.Equal(t, all, star)
	_, err = Select(g, []string{"users.nothing.*"})
	require.ErrorContains(t, err, `"users.nothing.*"`)
	_, err = Select(g, []string{"[x"})
	require.ErrorContains(t, err, `"[x"`)
	_, err = New(Config{})
	require.ErrorContains(t, err, "glossary")
}

func BenchmarkAppend(b *testing.B) {
	r := rounds(b, 1)
	var buf []byte
	var bytes int64
	i := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.Append(buf[:0], i)
		bytes += int64(len(buf))
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/event")
}

const goldenDigest = "bcb7db8aa4159dea61801202e4ebb631c2522faa4d436ce7de35433403fdcbae"
