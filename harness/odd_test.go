package harness

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// oddCase is one file of fixtures/odd; its README says what the keys mean.
type oddCase struct {
	About   string             `json:"about"`
	Method  string             `json:"method"`
	Path    string             `json:"path"`
	Headers map[string]*string `json:"headers"`
	JSON    json.RawMessage    `json:"json"`
	Text    *string            `json:"text"`
	Base64  *string            `json:"base64"`
	Status  int                `json:"status"`
	Answer  json.RawMessage    `json:"answer"`
	Events  []oddFate          `json:"events"`
}

type oddFate struct {
	Message   json.RawMessage `json:"message"`
	Dead      string          `json:"dead"`
	Duplicate bool            `json:"duplicate"`
}

func readOddCase(t *testing.T, path string) oddCase {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	c := oddCase{Method: http.MethodPost, Path: "/currents"}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&c), path)
	return c
}

func (c oddCase) body(t *testing.T) []byte {
	t.Helper()
	switch {
	case c.Text != nil:
		return []byte(*c.Text)
	case c.Base64 != nil:
		body, err := base64.StdEncoding.DecodeString(*c.Base64)
		require.NoError(t, err)
		return body
	}
	return c.JSON
}

// post sends the case to the bridge at base.
func (c oddCase) post(t *testing.T, base string) *http.Response {
	t.Helper()
	token := strings.NewReplacer("{token}", brazeToken)
	req, err := http.NewRequest(c.Method, base+token.Replace(c.Path), bytes.NewReader(c.body(t)))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+brazeToken)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Braze-Currents-Version", "1")
	for name, value := range c.Headers {
		if value == nil {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, token.Replace(*value))
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return res
}

// together is the real bridge with a fake RudderStack behind it.
type together struct {
	*process
	rudder *mockrudder.Server
}

func startTogether(t *testing.T, mode Mode) together {
	t.Helper()
	rudder, err := mockrudder.New()
	require.NoError(t, err)
	server := httptest.NewServer(rudder)
	t.Cleanup(server.Close)
	t.Cleanup(rudder.Close)
	c, err := Config{Mode: mode}.withDefaults()
	require.NoError(t, err)
	dir := t.TempDir()
	p, err := newProcess(bridgeProgram(t), dir, func(listen, admin string) string {
		return c.bridgeFile(listen, admin, filepath.Join(dir, "data"), server.URL)
	})
	require.NoError(t, err)
	require.NoError(t, p.start(t.Context()))
	t.Cleanup(func() { require.NoError(t, p.stop()) })
	return together{p, rudder}
}

// settled waits until nothing is pending, and returns the ledger.
func (b together) settled(t *testing.T) Ledger {
	t.Helper()
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

// deadLetters lists what the bridge keeps of the events that it cannot deliver.
func (b together) deadLetters(t *testing.T) (list []letter) {
	t.Helper()
	require.NoError(t, readLetters(t.Context(), b.adminURL(), connector, func(l letter) { list = append(list, l) }))
	return list
}

// events are the elements of the case's batch as they were sent.
func (c oddCase) events(t *testing.T) []json.RawMessage {
	t.Helper()
	var body struct{ Events []json.RawMessage }
	require.NoError(t, json.Unmarshal(c.JSON, &body))
	return body.Events
}

func TestOddRequests(t *testing.T) {
	paths, err := filepath.Glob("../fixtures/odd/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	bridge := startTogether(t, ModeEvents)
	var dead []letter // expected so far
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			c := readOddCase(t, path)
			bridge.rudder.ResetMessages()
			res := c.post(t, "http://"+bridge.listen)
			answer, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			res.Body.Close()
			require.Equal(t, c.Status, res.StatusCode, "%s: %s", c.About, answer)
			if c.Answer != nil {
				require.JSONEq(t, string(c.Answer), string(answer))
			}
			bridge.settled(t)
			var want []json.RawMessage
			for i, fate := range c.Events {
				switch {
				case fate.Dead != "":
					dead = append(dead, letter{fate.Dead, c.events(t)[i]})
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

// requireArrived finds each wanted message among those that arrived, whatever
// the order, and leaves none over.
func requireArrived(t *testing.T, want []json.RawMessage, got []mockrudder.Event) {
	t.Helper()
	left := map[int]bool{}
	for i := range got {
		left[i] = true
	}
	for _, w := range want {
		found := -1
		var nearest []string
		for i := range got {
			if !left[i] {
				continue
			}
			differs := messageDiff(t, w, []byte(got[i].Raw))
			if len(differs) == 0 {
				found = i
				break
			}
			if nearest == nil || len(differs) < len(nearest) {
				nearest = differs
			}
		}
		require.GreaterOrEqual(t, found, 0, "did not arrive: %s\nthe nearest that did: %v", w, nearest)
		delete(left, found)
	}
	for i := range left {
		require.Fail(t, "arrived and should not", got[i].Raw)
	}
}

// messageDiff compares field by field, and properties byte for byte. A wanted
// message without messageId stands for any that the bridge makes up.
func messageDiff(t *testing.T, want, got []byte) []string {
	t.Helper()
	w, g := fieldsOf(t, want), fieldsOf(t, got)
	if _, given := w["messageId"]; !given {
		id, _ := g["messageId"].(string)
		if id == "" {
			return []string{"/messageId: want one that the bridge makes up, got none"}
		}
		delete(g, "messageId")
	}
	diff := oracle.Diff(w, g, oracle.Exact, 5)
	if a, b := propertiesOf(t, want), propertiesOf(t, got); !bytes.Equal(a, b) {
		diff = append(diff, "/properties: want the bytes "+string(a)+", got "+string(b))
	}
	return diff
}

func fieldsOf(t *testing.T, message []byte) map[string]any {
	t.Helper()
	v, err := oracle.Decode(message)
	require.NoError(t, err)
	fields, ok := v.(map[string]any)
	require.True(t, ok)
	return fields
}

func propertiesOf(t *testing.T, message []byte) []byte {
	t.Helper()
	var m struct{ Properties json.RawMessage }
	require.NoError(t, json.Unmarshal(message, &m))
	return m.Properties
}

// TestOddBatchInWebhookMode: RudderStack's Braze source answers 200 and drops
// some events, and refuses the whole request for others; the bridge sorts them
// out first. What is delivered arrives byte for byte as Braze sent it.
func TestOddBatchInWebhookMode(t *testing.T) {
	bridge := startTogether(t, ModeWebhook)
	good := []string{
		`{"event_type":"users.messages.email.Open","id":"w1","time":1700000000,"user":{"user_id":"u1","external_user_id":"e1"},"properties":{ "campaign_id":"c1" }}`,
		`{"event_type":"users.behaviors.CustomEvent","id":"w2","user":{"external_user_id":"e2"},"properties":{"custom_properties":{"constructor":1}}}`,
	}
	bad := []letter{
		{"unsafe_key", json.RawMessage(`{"event_type":"t","id":"w3","user":{"user_id":"u"},"properties":{"constructor":1}}`)},
		{"unsafe_key", json.RawMessage(`{"event_type":"t","id":"w4","user":{"user_id":"u"},"properties":{"a.__proto__":1}}`)},
		{"nul", json.RawMessage(`{"event_type":"t","id":"w5","user":{"user_id":"u"},"properties":{"a":["\u0000"]}}`)},
		{"no_identity", json.RawMessage(`{"event_type":"t","id":"w6","user":{"user_id":" "}}`)},
		{"no_event_type", json.RawMessage(`{"id":"w7","user":{"user_id":"u"}}`)},
		{"not_an_object", json.RawMessage(`true`)},
	}
	var texts []string
	for _, dead := range bad {
		texts = append(texts, string(dead.Event))
	}
	body := `{"events":[` + good[0] + "," + strings.Join(texts, ",") + "," + good[1] + `]}`
	res := oddCase{Method: http.MethodPost, Path: "/currents", Text: &body}.post(t, "http://"+bridge.listen)
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.JSONEq(t, `{"accepted":8,"duplicates":0,"dead":6}`, string(answer))
	ledger := bridge.settled(t)
	require.EqualValues(t, 2, ledger.Delivered)
	letters := bridge.deadLetters(t)
	require.Len(t, letters, len(bad))
	for i := range bad {
		require.Equal(t, bad[i].Reason, letters[i].Reason)
		require.Equal(t, string(bad[i].Event), string(letters[i].Event))
	}
	var raws []string
	for _, e := range bridge.rudder.Events(mockrudder.Filter{}) {
		raws = append(raws, e.Raw)
	}
	require.ElementsMatch(t, good, raws)
}
