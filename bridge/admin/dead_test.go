package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestDead(t *testing.T) {
	f := newFixture()
	for n := range uint64(3) {
		f.a.dead = append(f.a.dead, queue.DeadLetter{Number: n + 1, ReceivedAt: noon, DiedAt: noon, Reason: "refused", Status: 400, Answer: "no <good>", Attempts: 2, Event: []byte(`{"id":"<é>"}`)})
	}
	f.b.dead = f.a.dead[:1]
	letter := func(connector, n string) string {
		return `{"connector":"` + connector + `","number":` + n + `,"received_at":"2026-01-02T12:00:00Z","died_at":"2026-01-02T12:00:00Z","reason":"refused","status":400,"answer":"no <good>","attempts":2,"events":1,"event":{"id":"<é>"},"unfit":true}`
	}
	names := strings.NewReplacer("{a1}", letter("a", "1"), "{a2}", letter("a", "2"), "{a3}", letter("a", "3"), "{b1}", letter("b", "1"))
	for _, row := range casefile.Read(t, "testdata/dead.tsv", 3) {
		status, _ := strconv.Atoi(row[0])
		require.Equal(t, names.Replace(row[2]), f.call(t, status, "GET "+row[1], ""), row[1])
	}
	f.a.err = errors.New("disk on fire")
	f.call(t, 500, "GET /api/dead", "")
	require.Contains(t, f.log.String(), "disk on fire")
}

// An event may go deeper than encoding/json, which goes 10,000 levels deep, and a large
// one ends a page before its limit.
func TestUnusualDeadLetters(t *testing.T) {
	f := newFixture()
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	f.a.dead = []queue.DeadLetter{{Number: 1, Event: []byte(deep)}}
	require.Equal(t, deep, answer[struct{ Dead []struct{ Event string } }](t, f, "/api/dead").Dead[0].Event)
	f.a.dead = []queue.DeadLetter{{Number: 1, Event: []byte(`"` + strings.Repeat("x", maxLetterBytes) + `"`)}, {Number: 2, Event: []byte(`{}`)}}
	require.True(t, strings.HasSuffix(f.get(t, "/api/dead?connector=a"), `"next":1}`))
}

func TestDeadLettersAreChosen(t *testing.T) {
	const pattern = "users.messages.email.*"
	for query, want := range map[string]queue.LetterFilter{
		"":                               {},
		"reason=refused&user=jo":         {Reason: "refused", User: "jo"},
		"type=" + pattern:                {Type: pattern},
		"number=2&number=4":              {Numbers: []uint64{2, 4}},
		"since=2026-01-02T09:00:00Z":     {Since: noon.Add(-3 * time.Hour)},
		"until=2026-01-02T09:00:00Z":     {Until: noon.Add(-3 * time.Hour)},
		"since=3h&until=1h":              {Since: noon.Add(-3 * time.Hour), Until: noon.Add(-time.Hour)},
		"last=4&reason=x&type=*.sms.*":   {Last: 4, Reason: "x", Type: "*.sms.*"},
		"after=4&last=9&type=a&number=5": {After: 4, Last: 9, Type: "a", Numbers: []uint64{5}},
	} {
		for _, path := range []string{"/api/dead", "/api/dead/summary"} {
			f := newFixture()
			f.get(t, path+"?connector=a&"+query)
			require.Equal(t, want, f.a.chosen, query)
		}
	}
}

// What is dead-lettered again during a replay must not be replayed for ever, even if
// the clock jumps; and a letter with a time in the future is replayed like the others.
func TestReplayEnds(t *testing.T) {
	for _, diedAt := range []time.Time{noon, noon.Add(-48 * time.Hour), noon.Add(48 * time.Hour)} {
		f := newFixture()
		f.a.dead, f.a.diedAt = letters(), diedAt
		f.a.dead[4].DiedAt = noon.Add(time.Hour)
		body := f.call(t, 200, "POST /api/dead/replay?all=true", "")
		require.JSONEq(t, `{"moved":4,"unfit":2,"connectors":[{"connector":"a","moved":4,"unfit":2},{"connector":"b","moved":0}]}`, body)
		require.Equal(t, []uint64{3, 4, 7, 8, 9, 10}, numbers(f.a.dead))
	}
}

// All connectors' letters are moved only by what can be said of all.
func TestMovesOverAllConnectors(t *testing.T) {
	f := newFixture()
	f.a.dead, f.b.dead, f.gone.dead = letters(), letters()[:2], letters()[:1]
	body := f.call(t, 200, "POST /api/dead/purge", `{"reason":"refused","all":true}`)
	require.JSONEq(t, `{"moved":4,"connectors":[{"connector":"a","moved":3},{"connector":"b","moved":1}]}`, body)
	require.Equal(t, []uint64{2, 4, 6}, numbers(f.a.dead))
	require.Contains(t, f.log.String(), "how=purge letters=3")
	require.Len(t, f.gone.dead, 1)
	f.call(t, 200, "POST /api/dead/purge?number=1&connector=gone", "")
	require.Empty(t, f.gone.dead)
	f.call(t, 200, "POST /api/dead/purge?connector=a&all=true&last=4", "")
	require.Equal(t, []uint64{6}, numbers(f.a.dead))
}

// broken is a queue whose dead letters can be read up to a number.
type broken struct {
	*books
	last uint64
}

func (b broken) Letters(ctx context.Context, f queue.LetterFilter) ([]queue.DeadLetter, error) {
	if f.After >= b.last {
		return nil, errors.New("disk on fire")
	}
	return b.books.Letters(ctx, f)
}

// What was moved before an error is moved, and the error says how many these are.
func TestMovesThatFailHalfWay(t *testing.T) {
	f := newFixture()
	f.a.dead, f.b.dead = letters()[:3], letters()
	f.Show([]Connector{{Name: "a", Queue: f.a}, {Name: "b", Queue: broken{f.b, 2}}})
	require.Equal(t, `{"error":"connector b: purge, after 5: disk on fire"}`, f.call(t, 500, "POST /api/dead/purge?all=true", ""))
	require.Empty(t, f.a.dead)
	require.Equal(t, []uint64{3, 4, 5, 6}, numbers(f.b.dead))
	require.Equal(t, `{"error":"connector b: disk on fire"}`, f.call(t, 500, "GET /api/dead", ""))
}

// Damaged letters stay: those that the disk does not give back whatever is asked, and those
// that are not what was written at a replay.
func TestDamagedLettersAreLeft(t *testing.T) {
	f := newFixture()
	f.a.dead = letters()
	f.a.dead[0].Unreadable, f.a.dead[0].Event = true, nil
	f.a.dead[1].Altered = true
	require.Contains(t, f.get(t, "/api/dead/1"), `"unreadable":true,"event":"","unfit":true`)
	require.Contains(t, f.get(t, "/api/dead/2"), `"altered":true,`)
	body := f.call(t, 200, "POST /api/dead/replay?connector=a&all=true&last=2", "")
	require.JSONEq(t, `{"moved":0,"unfit":1,"unreadable":1,"connectors":[{"connector":"a","moved":0,"unfit":1,"unreadable":1}]}`, body)
	body = f.call(t, 200, "POST /api/dead/purge?connector=a&all=true", "")
	require.JSONEq(t, `{"moved":5,"unreadable":1,"connectors":[{"connector":"a","moved":5,"unreadable":1}]}`, body)
	require.Equal(t, []uint64{1}, numbers(f.a.dead))
}

// A brief list shows no personal data.
func TestBriefDeadLetters(t *testing.T) {
	f := newFixture()
	f.a.dead = letters()
	for i := range f.a.dead {
		f.a.dead[i].ExternalUserID, f.a.dead[i].UserID = "jo@example.com", "user-77"
	}
	body := f.get(t, "/api/dead?brief=true")
	require.Equal(t, 6, strings.Count(body, `"number":`))
	for _, personal := range []string{"jo@example.com", "user-77", `"event":`, "external_user_id"} {
		require.NotContains(t, body, personal)
	}
	require.Contains(t, f.get(t, "/api/dead/1"), "jo@example.com")
}

// What is refused changes nothing.
func TestRefusals(t *testing.T) {
	f := newFixture()
	f.a.dead = letters()
	for _, row := range casefile.Read(t, "testdata/refused.tsv", 2) {
		status, _ := strconv.Atoi(row[0])
		require.Contains(t, f.call(t, status, row[1], ""), `{"error":"`)
	}
	for body, want := range map[string]string{`[]`: "no JSON object", `{"since":{}}`: "since must be text", `{"since":null}`: "since must be text"} {
		require.Contains(t, f.call(t, 400, "POST /api/replay", body), want)
	}
	f.requireUnchanged(t)
	require.Empty(t, f.setAside)
}

func answer[T any](t *testing.T, f *fixture, path string) (value T) {
	require.NoError(t, json.Unmarshal([]byte(f.get(t, path)), &value))
	return value
}
