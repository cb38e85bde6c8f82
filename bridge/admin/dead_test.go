package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

func TestDead(t *testing.T) {
	f := newFixture(t)
	for n := range uint64(3) {
		f.a.dead = append(f.a.dead, queue.DeadLetter{Number: n + 1, ReceivedAt: noon, DiedAt: noon, Reason: "refused", Status: 400, Answer: "no <good>", Attempts: 2, Event: []byte(`{"id":"<é>"}`)})
	}
	f.b.dead = f.a.dead[:1]
	letter := func(connector, n string) string {
		return `{"connector":"` + connector + `","number":` + n + `,"received_at":"2026-01-02T12:00:00Z","died_at":"2026-01-02T12:00:00Z","reason":"refused","status":400,"answer":"no <good>","attempts":2,"events":1,"event":{"id":"<é>"},"unfit":true}`
	}
	a1, a2, a3, b1 := letter("a", "1"), letter("a", "2"), letter("a", "3"), letter("b", "1")
	for _, tt := range []struct {
		path   string
		status int
		body   string
	}{
		{"", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + "," + b1 + `]}`},
		{"?limit=4", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + "," + b1 + `]}`},
		{"?limit=3", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + `],"next":3,"next_connector":"a"}`},
		{"?limit=2", 200, `{"dead":[` + a1 + "," + a2 + `],"next":2,"next_connector":"a"}`},
		{"?limit=2&after=2&after_connector=a", 200, `{"dead":[` + a3 + "," + b1 + `]}`},
		{"?after=3&after_connector=a", 200, `{"dead":[` + b1 + `]}`},
		{"?after=1&after_connector=b", 200, `{"dead":[]}`},
		{"?connector=a&limit=3", 200, `{"dead":[` + a1 + "," + a2 + "," + a3 + `]}`},
		{"?connector=a&after=1&limit=1", 200, `{"dead":[` + a2 + `],"next":2}`},
		{"?connector=a&after=3", 200, `{"dead":[]}`},
		{"?connector=b", 200, `{"dead":[` + b1 + `]}`},
		{"?connector=gone", 200, `{"dead":[]}`},
		{"?connector=c", 404, `{"error":"there is no connector of this name"}`},
		{"?after=1&after_connector=c", 404, `{"error":"there is no connector of the name that after_connector gives"}`},
		{"?after=1", 400, `{"error":"after needs connector, or after_connector, because each connector counts for itself"}`},
		{"?after=x", 400, `{"error":"after must be the number of a dead letter"}`},
		{"?limit=0", 400, `{"error":"limit must be a number from 1 to 1000"}`},
		{"?limit=1001", 400, `{"error":"limit must be a number from 1 to 1000"}`},
		{"?limit=%zz", 400, `{"error":"the body or the query is no form"}`},
		{"/2", 200, a2},
		{"/1?connector=b", 200, b1},
		{"/1", 409, `{"error":"several connectors have a letter of this number, name one of them: a, b"}`},
		{"/4", 404, `{"error":"there is no dead letter 4"}`},
		{"/2?connector=c", 404, `{"error":"there is no connector of this name"}`},
		{"/0", 400, `{"error":"this is not the number of a dead letter"}`},
		{"/x", 400, `{"error":"this is not the number of a dead letter"}`},
	} {
		require.Equal(t, tt.body, f.call(t, tt.status, "GET /api/dead"+tt.path, ""), tt.path)
	}
	f.a.err = errors.New("disk on fire")
	f.call(t, 500, "GET /api/dead", "")
	require.Contains(t, f.log.String(), "disk on fire")
}

// An event may go deeper than encoding/json, which goes 10,000 levels deep, and a large
// one ends a page before its limit.
func TestUnusualDeadLetters(t *testing.T) {
	f := newFixture(t)
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
			f := newFixture(t)
			f.get(t, path+"?connector=a&"+query)
			require.Equal(t, want, f.a.chosen, query)
		}
	}
}

// What is dead-lettered again during a replay must not be replayed for ever, even if
// the clock jumps; and a letter with a time in the future is replayed like the others.
func TestReplayEnds(t *testing.T) {
	for _, diedAt := range []time.Time{noon, noon.Add(-48 * time.Hour), noon.Add(48 * time.Hour)} {
		f := newFixture(t)
		f.a.dead, f.a.diedAt = letters(), diedAt
		f.a.dead[4].DiedAt = noon.Add(time.Hour)
		body := f.call(t, 200, "POST /api/dead/replay?all=true", "")
		require.JSONEq(t, `{"moved":4,"unfit":2,"connectors":[{"connector":"a","moved":4,"unfit":2},{"connector":"b","moved":0}]}`, body)
		require.Equal(t, []uint64{3, 4, 7, 8, 9, 10}, numbers(f.a.dead))
	}
}

// Each connector counts its letters for itself, so all of them are moved only by
// what can be said of all.
func TestMovesOverAllConnectors(t *testing.T) {
	f := newFixture(t)
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
	f := newFixture(t)
	f.a.dead, f.b.dead = letters()[:3], letters()
	f.Show([]Connector{{Name: "a", Queue: f.a}, {Name: "b", Queue: broken{f.b, 2}}})
	require.Equal(t, `{"error":"connector b: purge, after 5: disk on fire"}`, f.call(t, 500, "POST /api/dead/purge?all=true", ""))
	require.Empty(t, f.a.dead)
	require.Equal(t, []uint64{3, 4, 5, 6}, numbers(f.b.dead))
	require.Equal(t, `{"error":"connector b: disk on fire"}`, f.call(t, 500, "GET /api/dead", ""))
}

// A brief list shows no personal data.
func TestBriefDeadLetters(t *testing.T) {
	f := newFixture(t)
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
	f := newFixture(t)
	f.a.dead = letters()
	for status, lines := range map[int]string{
		400: `POST /api/dead/VERB
			POST /api/dead/VERB?all=yes
			POST /api/dead/VERB?number=x
			POST /api/dead/VERB?type=[
			POST /api/dead/VERB?since=yesterday
			POST /api/dead/VERB?until=5
			POST /api/dead/VERB?since=-1h
			POST /api/dead/VERB?number=1
			POST /api/dead/VERB?after=1&all=true
			POST /api/dead/VERB?last=4&all=true
			GET /api/dead/purge?all=true
			POST /api/replay
			POST /api/replay?since=x
			POST /api/replay?from=x
			POST /api/replay?since=1h&from=2026-01-02T10:00:00Z
			POST /api/replay?since=1h&to=2h
			POST /api/replay?since=1h&to=x
			POST /api/replay?since=1h&type=[
			POST /api/replay?since=1h&type=
			POST /api/replay?since=1h&rate=-1
			POST /api/replay?since=1h&rate=NaN
			POST /api/replay?since=1h&rate=x
			POST /api/replay?since=0s
			GET /api/pending/x/3?connector=a
			GET /api/pending/7/3
			GET /api/pending?limit=0
			POST /api/pending/dead-letter?record=7&index=3
			POST /api/forget`,
		404: `POST /api/dead/VERB?all=true&connector=c
			POST /api/replay?since=1h&connector=c
			POST /api/resume?connector=c
			GET /api/pending/8/3?connector=a
			GET /currents`,
		405: `POST /status
			GET /api/forget?user=jo`,
		409: `POST /api/replay?since=1h&connector=gone
			POST /api/resume?connector=gone
			POST /api/pending/dead-letter?connector=a&record=7&index=4
			POST /api/pending/dead-letter?connector=gone&record=7&index=3
			GET /api/backup`,
	} {
		for line := range strings.SplitSeq(lines, "\n") {
			for _, verb := range []string{"replay", "purge"} {
				require.Contains(t, f.call(t, status, strings.Replace(strings.TrimSpace(line), "VERB", verb, 1), ""), `{"error":"`)
			}
		}
	}
	for body, want := range map[string]string{`[]`: "no JSON object", `{"since":{}}`: "since must be text", `{"since":null}`: "since must be text"} {
		require.Contains(t, f.call(t, 400, "POST /api/replay", body), want)
	}
	f.requireUnchanged(t)
	require.Empty(t, f.setAside)
}

func answer[T any](t *testing.T, f *fixture, path string) (value T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(f.get(t, path)), &value))
	return value
}
