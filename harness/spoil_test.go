package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sink is a RudderStack that only remembers what was posted to it.
type sink struct {
	mu     sync.Mutex
	bodies []string
	status int
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, r.URL.RequestURI()+" "+r.Header.Get("Authorization")+" "+string(body))
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, "ok")
}

const twoMessages = `{"batch":[{"messageId":"a","properties":{"s":"xyz","n":1}},{"messageId":"b","properties":{"s":"abc"}}]}`

func TestSpoiler(t *testing.T) {
	tests := []struct {
		name string
		how  Break
		post []string
		want []string
	}{
		{"nothing", BreakNothing, []string{twoMessages}, []string{twoMessages}},
		{"no envelope", BreakLose, []string{`[1]`}, []string{`[1]`}},
		{
			"lose the first, whenever it comes", BreakLose,
			[]string{twoMessages, `{"batch":[{"messageId":"a"}]}`, `{"batch":[{"messageId":"c"}]}`},
			[]string{`{"batch":[{"messageId":"b","properties":{"s":"abc"}}]}`, `{"batch":[{"messageId":"c"}]}`},
		},
		{
			"lose an event in webhook mode", BreakLose,
			[]string{`{"events":[{"id":"a"},{"id":"b"}]}`}, []string{`{"events":[{"id":"b"}]}`},
		},
		{
			"corrupt one byte, once", BreakCorrupt,
			[]string{twoMessages, twoMessages},
			[]string{strings.Replace(twoMessages, `"n":1`, `"o":1`, 1), twoMessages},
		},
		{
			"duplicate", BreakDuplicate,
			[]string{`{"events":[{"id":"a"},{"id":"b"}]}`},
			[]string{`{"events":[{"id":"a"},{"id":"b"}]}`, `{"events":[{"id":"a"}]}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := &sink{status: http.StatusOK}
			target := httptest.NewServer(to)
			defer target.Close()
			front := httptest.NewServer(newSpoiler(tt.how, target.URL))
			defer front.Close()
			for _, body := range tt.post {
				req, err := http.NewRequest(http.MethodPost, front.URL+"/v1/batch?x=1", strings.NewReader(body))
				require.NoError(t, err)
				req.SetBasicAuth("key", "")
				res, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				answer, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				res.Body.Close()
				require.Equal(t, http.StatusOK, res.StatusCode)
				require.Equal(t, "ok", string(answer))
			}
			require.Len(t, to.bodies, len(tt.want))
			for i, want := range tt.want {
				got := strings.TrimSpace(strings.TrimPrefix(to.bodies[i], "/v1/batch?x=1 Basic a2V5Og== "))
				require.Equal(t, want, got)
			}
		})
	}
}

func TestSpoilerTriesAgainAfterAFault(t *testing.T) {
	to := &sink{status: http.StatusServiceUnavailable}
	target := httptest.NewServer(to)
	defer target.Close()
	s := newSpoiler(BreakCorrupt, target.URL)
	for range 2 {
		answer := httptest.NewRecorder()
		s.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/v1/batch", strings.NewReader(twoMessages)))
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	}
	require.Zero(t, s.done)
	require.Equal(t, to.bodies[0], to.bodies[1])
	require.Contains(t, to.bodies[0], `"o":1`)
}

func TestCorruptionKeepsJSONValid(t *testing.T) {
	for _, properties := range []string{
		`{"a":"\u00ff"}`, `{"a":"0"}`, `{"a":"F"}`, `{"key":true}`, `{"a":"z"}`, `{"a":"\n"}`, `{"a":""}`, `{"a":"é"}`, `5`, `{}`,
	} {
		before := `{"properties":` + properties + `}`
		messages := []json.RawMessage{json.RawMessage(before)}
		if corruptOne(messages) {
			require.NotEqual(t, before, string(messages[0]))
			require.True(t, json.Valid(messages[0]), string(messages[0]))
		} else {
			require.Equal(t, before, string(messages[0]))
		}
	}
}
