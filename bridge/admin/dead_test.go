package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// letters are six dead letters, an hour apart; the last died an hour ago.
func letters() []queue.DeadLetter {
	var all []queue.DeadLetter
	for i, event := range []string{
		`{"event_type":"users.messages.email.Open","user":{"user_id":"u"}}`,
		`{"event\u005ftype":"users.messages.email.Click","user":{"user_id":"u"}}`,
		`{"event_type":5,"user":{}}`,
		`no JSON`,
		`{"event_type":"users.messages.sms.Send","user":{"user_id":"u"}}`,
		`{"event_type":"users.messages.email.Open","user":{"external_user_id":"x"}}`,
	} {
		reason := "refused"
		if i%2 == 1 {
			reason = "no_identity"
		}
		all = append(all, queue.DeadLetter{
			Number: uint64(i + 1), Reason: reason, DiedAt: noon.Add(time.Duration(i-6) * time.Hour), Event: []byte(event),
		})
	}
	return all
}

func numbers(dead []queue.DeadLetter) (all []uint64) {
	for _, d := range dead {
		all = append(all, d.Number)
	}
	return all
}

func TestDeadLettersAreChosen(t *testing.T) {
	for query, want := range map[string][]uint64{
		"":                                       {1, 2, 3, 4, 5, 6},
		"reason=refused":                         {1, 3, 5},
		"type=users.messages.email.*":            {1, 2, 6},
		"type=users.messages.sms.Send":           {5},
		"number=2&number=4&number=9":             {2, 4},
		"since=2026-01-02T09:00:00Z":             {4, 5, 6},
		"until=2026-01-02T09:00:00Z":             {1, 2, 3},
		"connector=a&after=4&reason=no_identity": {6},
		"reason=refused&type=*.sms.*":            {5},
		"since=3h":                               {4, 5, 6},
		"type=users.messages.email.Not":          nil,
	} {
		f := newFixture(t)
		f.a.dead = letters()
		body := f.get(t, "/api/dead?"+query, 200)
		var answer struct {
			Dead []struct{ Number uint64 }
			Next uint64
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
		var got []uint64
		for _, d := range answer.Dead {
			got = append(got, d.Number)
		}
		require.Equal(t, want, got, query)
		require.Zero(t, answer.Next)
	}
}

// What is dead-lettered again during a replay must not be replayed for ever, even if
// the clock jumps; and a letter with a time in the future is replayed like the others.
func TestReplayEnds(t *testing.T) {
	for _, diedAt := range []time.Time{noon, noon.Add(-48 * time.Hour), noon.Add(48 * time.Hour)} {
		f := newFixture(t)
		f.a.dead, f.a.diedAt = letters(), diedAt
		f.a.dead[4].DiedAt = noon.Add(time.Hour)
		body := f.post(t, "/api/dead/replay?all=true", 200)
		require.JSONEq(t, `{"moved":4,"unfit":2,"connectors":[{"connector":"a","moved":4,"unfit":2},{"connector":"b","moved":0}]}`, body)
		require.Equal(t, []uint64{3, 4, 7, 8, 9, 10}, numbers(f.a.dead))
	}
}

func TestMovesThatAreRefused(t *testing.T) {
	f := newFixture(t)
	f.a.dead = letters()
	for query, want := range map[string]int{
		"": 400, "all=yes": 400, "number=x": 400, "type=[": 400, "since=yesterday": 400, "until=5": 400,
		"all=true&connector=c": 404, "number=1": 400, "after=1&all=true": 400,
	} {
		for _, verb := range []string{"replay", "purge"} {
			body := f.post(t, fmt.Sprintf("/api/dead/%s?%s", verb, query), want)
			require.Contains(t, body, `"error":"`)
		}
	}
	f.get(t, "/api/dead/purge?all=true", 400)
	r := httptest.NewRequest(http.MethodPost, "/api/dead/purge?all=true", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	f.request(t, r, 403) // a page from elsewhere
	require.Len(t, f.a.dead, 6)
}

// Each connector counts its letters for itself, so all of them are moved only by
// what can be said of all.
func TestMovesOverAllConnectors(t *testing.T) {
	f := newFixture(t)
	f.a.dead, f.b.dead, f.gone.dead = letters(), letters()[:2], letters()[:1]
	r := httptest.NewRequest(http.MethodPost, "/api/dead/purge", strings.NewReader(`{"reason":"refused","all":true}`))
	r.Header.Set("Content-Type", "application/json")
	body := f.request(t, r, 200)
	require.JSONEq(t, `{"moved":4,"connectors":[{"connector":"a","moved":3},{"connector":"b","moved":1}]}`, body)
	require.Equal(t, []uint64{2, 4, 6}, numbers(f.a.dead))
	require.Contains(t, f.log.String(), "how=purge letters=3")
	require.Len(t, f.gone.dead, 1)
	f.post(t, "/api/dead/purge?number=1&connector=gone", 200)
	require.Empty(t, f.gone.dead)
}

// A large event ends a page before its limit.
func TestDeadPagesAreBounded(t *testing.T) {
	f := newFixture(t)
	large := `"` + strings.Repeat("x", maxLetterBytes) + `"`
	f.a.dead = []queue.DeadLetter{{Number: 1, Event: []byte(large)}, {Number: 2, Event: []byte(`{}`)}}
	body := f.get(t, "/api/dead?connector=a", 200)
	require.True(t, strings.HasSuffix(strings.TrimSpace(body), `"next":1}`), body[len(body)-40:])
}
