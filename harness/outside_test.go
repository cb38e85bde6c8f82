package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

const outsideEvents = 480

type remains struct {
	mode         Mode
	sent, stored []string // lines
	counts       mockbraze.Counts
	losses       []Loss
	pages        map[string]string // of the bridge's admin address
}

func leave(t *testing.T, mode Mode) remains {
	ctx := t.Context()
	var recording, sent bytes.Buffer
	bridge := startTogether(t, mode, mockrudder.WithRecording(&recording))
	braze := mockbraze.Start(t, mockbraze.WithSeed(5))
	current := braze.Launch(mockbraze.Current{URL: "http://" + bridge.listen + "/currents", Token: brazeToken})
	require.NoError(t, current.Send(ctx, outsideEvents))
	bridge.settled(t)
	require.NoError(t, mockbraze.Emit(ctx, &sent, mockbraze.Emission{Events: outsideEvents, Seed: 5}))
	left := remains{mode: mode, counts: current.Report().Counts, pages: map[string]string{},
		sent: strings.Split(strings.TrimSpace(sent.String()), "\n"), stored: strings.Split(strings.TrimSpace(recording.String()), "\n")}
	for _, path := range []string{"/status", "/api/dead"} {
		var page json.RawMessage
		require.NoError(t, jsoncall.Do(ctx, http.MethodGet, bridge.adminURL()+path+"?connector="+connector, nil, &page))
		left.pages[path] = string(page)
	}
	return left
}

func (r remains) outside(t *testing.T) Outside {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, r.pages[req.URL.Path]) }))
	t.Cleanup(admin.Close)
	return Outside{Mode: r.mode, Sent: lines(r.sent), Received: lines(r.stored), Counts: r.counts, Losses: r.losses, Admin: admin.URL}
}

func lines(all []string) io.Reader { return strings.NewReader(strings.Join(all, "\n") + "\n") }

func received(t *testing.T, line string) (at time.Time) {
	var e mockrudder.Event
	require.NoError(t, json.Unmarshal([]byte(line), &e))
	return e.ReceivedAt
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{ModeEvents, ModeWebhook} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			left := leave(t, mode)
			report, err := Judge(t.Context(), left.outside(t))
			require.NoError(t, err)
			require.True(t, report.Passed(), "%v", report.Failures)
			require.EqualValues(t, outsideEvents, report.Acked)
			require.EqualValues(t, outsideEvents, report.Delivered+report.Dead)
			require.Positive(t, report.Dead)
			spoil(t, left)
		})
	}
}

// spoil changes one thing after the other, and each must be reported.
func spoil(t *testing.T, left remains) {
	first := left.stored[0]
	lossOfOne := []Loss{{From: received(t, first), Until: received(t, first).Add(time.Hour), Events: 1}}
	later := []Loss{{From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour), Events: 9}}
	more := strings.Replace(first, `\"properties\":{`, `\"properties\":{\"more\":1,`, 1)
	if left.mode == ModeWebhook {
		more = strings.Replace(first, `\"id\":\"`, `\"id\":\"x`, 1)
	}
	otherLedger := map[string]string{"/api/dead": left.pages["/api/dead"],
		"/status": strings.Replace(left.pages["/status"], fmt.Sprintf(`"accepted":%d`, outsideEvents), `"accepted":7`, 1)}
	for name, c := range map[string]struct {
		change func(*remains)
		says   string
	}{
		"lost":    {func(r *remains) { r.stored = r.stored[1:] }, "lost: 1"},
		"changed": {func(r *remains) { r.stored = append([]string{more}, r.stored[1:]...) }, "1 "},
		"twice":   {func(r *remains) { r.stored = append(r.stored, first) }, "nothing lost between"},
		"twice by no more than can be": {func(r *remains) {
			r.stored, r.losses = append(r.stored, first), lossOfOne
		}, ""},
		"twice by more than can be": {func(r *remains) {
			r.stored, r.losses = append(r.stored, first, left.stored[1]), lossOfOne
		}, "at most 1 can come"},
		"twice, and the loss was later": {func(r *remains) {
			r.stored, r.losses = append(r.stored, first), later
		}, "nothing lost between"},
		"given up":                         {func(r *remains) { r.counts.Sent-- }, "never acknowledged"},
		"never in the books of the bridge": {func(r *remains) { r.pages = otherLedger }, "ledger"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := left
			c.change(&changed)
			report, err := Judge(t.Context(), changed.outside(t))
			require.NoError(t, err)
			require.Equal(t, c.says == "", report.Passed(), "%v", report.Failures)
			require.Contains(t, strings.Join(report.Failures, "\n"), c.says)
		})
	}
}

func TestEvidenceThatDoesNotFit(t *testing.T) {
	now := time.Now()
	empty := func() Outside { return Outside{Sent: lines(nil), Received: lines(nil), Admin: "http://127.0.0.1:1"} }
	for want, change := range map[string]func(*Outside){
		"must be given":      func(o *Outside) { o.Sent = nil },
		"before it begins":   func(o *Outside) { o.Losses = []Loss{{From: now, Until: now.Add(-time.Second)}} },
		"mode":               func(o *Outside) { o.Mode = "x" },
		"0 events are there": func(o *Outside) { o.Counts.Events = 3 },
		"what Braze sent":    func(o *Outside) { o.Sent = lines([]string{"no JSON"}) },
		"RudderStack":        func(o *Outside) { o.Received = lines([]string{"no JSON"}) },
		"ask the bridge":     func(*Outside) {},
	} {
		o := empty()
		change(&o)
		_, err := Judge(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}
