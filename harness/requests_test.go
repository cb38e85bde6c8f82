package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// request is one file of fixtures/requests; its README says what the keys mean.
type request struct {
	About   string             `json:"about"`
	Method  string             `json:"method"`
	Path    string             `json:"path"`
	Headers map[string]*string `json:"headers"`
	JSON    json.RawMessage    `json:"json"`
	Text    string             `json:"text"`
	Base64  []byte             `json:"base64"`
	Status  int                `json:"status"`
	Answer  json.RawMessage    `json:"answer"`
	Events  []struct {
		Message   json.RawMessage `json:"message"`
		Dead      string          `json:"dead"`
		Duplicate bool            `json:"duplicate"`
	} `json:"events"`
}

func readRequest(t *testing.T, path string) request {
	text := casefile.Text(t, path)
	r := request{Method: http.MethodPost, Path: "/currents"}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r), path)
	return r
}

// post sends the request to the bridge at base, and returns the status and the body
// of the response.
func (r request) post(t *testing.T, base string) (status int, answer string) {
	token := strings.NewReplacer("{token}", brazeToken)
	body := slices.Concat(r.JSON, []byte(r.Text), r.Base64) // one of them
	req, err := http.NewRequest(r.Method, base+token.Replace(r.Path), bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+brazeToken)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Braze-Currents-Version", "1")
	for name, value := range r.Headers {
		if value == nil {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, token.Replace(*value))
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

// together is the real bridge with a fake RudderStack behind it.
type together struct {
	*process
	rudder *mockrudder.Server
}

func startTogether(t *testing.T, mode Mode, opts ...mockrudder.Option) together {
	rudder := mockrudder.Start(t, opts...)
	c, err := Config{Mode: mode}.withDefaults()
	require.NoError(t, err)
	p, err := newProcess(bridgeProgram(t), t.TempDir())
	require.NoError(t, err)
	require.NoError(t, p.start(t.Context(), c.bridgeSettings(rudder.URL)))
	t.Cleanup(func() { require.NoError(t, p.stop()) })
	return together{p, rudder}
}

func (b together) settled(t *testing.T) Ledger {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var ledger Ledger
	require.NoError(t, await(ctx, func() bool {
		var err error
		ledger, err = ReadLedger(ctx, b.adminURL(), connector)
		return err == nil && ledger.Pending == 0
	}))
	require.NoError(t, ledger.Check())
	return ledger
}

func (b together) deadLetters(t *testing.T) (list []letter) {
	require.NoError(t, readLetters(t.Context(), b.adminURL(), connector, func(l letter) { list = append(list, l) }))
	return list
}

func TestUnusualRequests(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../fixtures/requests/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	bridge := startTogether(t, ModeEvents)
	var dead []letter // expected so far
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			r := readRequest(t, path)
			bridge.rudder.ResetMessages()
			status, answer := r.post(t, "http://"+bridge.listen)
			require.Equal(t, r.Status, status, "%s: %s", r.About, answer)
			if r.Answer != nil {
				require.JSONEq(t, string(r.Answer), answer)
			}
			bridge.settled(t)
			var sent struct{ Events []json.RawMessage }
			_ = json.Unmarshal(r.JSON, &sent) // others have no events
			var want []json.RawMessage
			for i, fate := range r.Events {
				switch {
				case fate.Dead != "":
					dead = append(dead, letter{fate.Dead, sent.Events[i]})
				case !fate.Duplicate:
					want = append(want, fate.Message)
				}
			}
			requireArrived(t, want, bridge.rudder.Events(mockrudder.Filter{}))
		})
	}
	letters := bridge.deadLetters(t)
	require.Len(t, letters, len(dead))
	for i := range dead {
		require.Equal(t, dead[i].Reason, letters[i].Reason, "%s", dead[i].Event)
		require.JSONEq(t, string(dead[i].Event), string(letters[i].Event))
	}
}

// requireArrived sees that the wanted messages arrived, in any order, and no other: the
// same fields, and the same bytes of properties. A wanted message without messageId
// stands for one whose messageId the bridge makes up.
func requireArrived(t *testing.T, want []json.RawMessage, got []mockrudder.Event) {
	sent := map[any]bool{}
	canonical := func(message []byte) string {
		v, err := oracle.Decode(message)
		require.NoError(t, err)
		fields := v.(map[string]any)
		if id := fields["messageId"]; !sent[id] {
			require.NotEmpty(t, id)
			delete(fields, "messageId")
		}
		var raw struct{ Properties json.RawMessage }
		require.NoError(t, json.Unmarshal(message, &raw))
		text, err := json.Marshal(fields)
		require.NoError(t, err)
		return string(text) + string(raw.Properties)
	}
	var wanted, arrived []string
	for _, message := range want {
		var m struct{ MessageID any }
		require.NoError(t, json.Unmarshal(message, &m))
		sent[m.MessageID] = true
		wanted = append(wanted, canonical(message))
	}
	delete(sent, nil)
	for _, e := range got {
		arrived = append(arrived, canonical([]byte(e.Raw)))
	}
	require.ElementsMatch(t, wanted, arrived)
}

// TestUnusualBatchInWebhookMode: RudderStack's Braze source answers 200 and drops
// some events, and refuses the whole request for others; the bridge dead-letters
// these. What is delivered arrives byte for byte as Braze sent it.
func TestUnusualBatchInWebhookMode(t *testing.T) {
	t.Parallel()
	bridge := startTogether(t, ModeWebhook)
	var all, good []string
	var bad []letter
	for _, row := range casefile.Read(t, "testdata/webhook.txt", 2) {
		all = append(all, row[1])
		if row[0] == "delivered" {
			good = append(good, row[1])
		} else {
			bad = append(bad, letter{row[0], json.RawMessage(row[1])})
		}
	}
	body := `{"events":[` + strings.Join(all, ",") + `]}`
	status, answer := request{Method: http.MethodPost, Path: "/currents", Text: body}.post(t, "http://"+bridge.listen)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"accepted":8,"duplicates":0,"dead":6}`, answer)
	ledger := bridge.settled(t)
	require.EqualValues(t, 2, ledger.Delivered)
	require.Equal(t, bad, bridge.deadLetters(t))
	var raws []string
	for _, e := range bridge.rudder.Events(mockrudder.Filter{}) {
		raws = append(raws, e.Raw)
	}
	require.ElementsMatch(t, good, raws)
}
