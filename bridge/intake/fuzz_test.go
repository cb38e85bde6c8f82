package intake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

// FuzzIntakeBody sends any body with any headers to the handler. The answer is
// one that Braze is meant to get, agrees with encoding/json about what is JSON,
// and exactly what it acknowledges is stored, as it came.
func FuzzIntakeBody(f *testing.F) {
	for _, body := range []string{
		"", " ", "{}", "null", oneEvent, `{"events":[]}`, `{"events":[null,{}]}`, `{"events":[1],"events":[2,3]}`, `{"events":{}}`,
		"\ufeff{}", `{"events":["\ud800\u0000"]}`, "{\"events\":[\"\xff\"]}", `{"events":[1e999999,01]}`, `{"events":[[[[{}]]]]}`,
	} {
		f.Add([]byte(body), "", "Bearer secret", "1")
		f.Add([]byte(zipped(body)), "gzip", "Bearer secret", "2")
	}
	f.Add([]byte(oneEvent), "br", "Bearer secret", "")
	f.Add([]byte(oneEvent), "", "Bearer wrong", "")
	f.Add(bytes.Repeat([]byte(" "), 1<<16+1), "identity", "bearer secret", "")
	q := &fakeQueue{}
	in := New(Config{Connectors: []Connector{queued(q, "a", "secret")}, MaxBody: 1 << 16, MaxEvents: 100})
	f.Fuzz(func(t *testing.T, body []byte, encoding, authorization, version string) {
		q.mu.Lock()
		q.batches = nil
		q.mu.Unlock()
		req := httptest.NewRequest(http.MethodPost, "/currents", bytes.NewReader(body))
		req.Header["Content-Encoding"] = []string{encoding}
		req.Header["Authorization"] = []string{authorization}
		req.Header["Braze-Currents-Version"] = []string{version}
		w := httptest.NewRecorder()
		in.ServeHTTP(w, req)

		if !strings.HasPrefix(strings.ToLower(authorization), "bearer ") || strings.Trim(authorization[7:], " \t") != "secret" {
			require.Equal(t, 401, w.Code)
		} else if gzipped, ok := encodingOf(encoding); !ok {
			require.Equal(t, 415, w.Code)
		} else {
			plain, whole := unzipped(body, gzipped)
			if bytes.Count(plain, []byte("["))+bytes.Count(plain, []byte("{")) > 9000 {
				return // encoding/json stops at a depth of 10,000
			}
			require.Equal(t, expected(plain, whole), w.Code, w.Body)
			if w.Code == http.StatusOK {
				requireStored(t, q, plain, w.Body.Bytes())
			}
		}
		if w.Code != http.StatusOK {
			require.Empty(t, q.batches)
			require.True(t, strings.HasPrefix(w.Body.String(), `{"error":"`))
		}
		require.Zero(t, in.inFlight.Load()+in.buffers.used.Load())
	})
}

func encodingOf(value string) (gzipped, ok bool) {
	value = strings.ToLower(strings.TrimSpace(value))
	gzipped = value == "gzip" || value == "x-gzip"
	return gzipped, gzipped || value == "" || value == "identity"
}

// unzipped returns what a body holds, up to a byte more than may be, and
// whether that is all of it.
func unzipped(body []byte, gzipped bool) (plain []byte, whole bool) {
	if !gzipped || len(body) == 0 || len(body) > 1<<16 {
		return body, true
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	plain, err = io.ReadAll(io.LimitReader(r, 1<<16+1))
	return plain, err == nil
}

func expected(plain []byte, whole bool) int {
	if len(plain) > 1<<16 {
		return 413
	}
	if !whole {
		return 400
	}
	if len(bytes.Trim(plain, " \t\r\n")) == 0 {
		return 200
	}
	var top map[string]json.RawMessage
	var events []json.RawMessage
	if json.Unmarshal(plain, &top) != nil || !bytes.HasPrefix(top["events"], []byte("[")) || json.Unmarshal(top["events"], &events) != nil {
		return 400
	}
	if len(events) > 100 {
		return 413
	}
	return 200
}

func requireStored(t *testing.T, q *fakeQueue, plain, answer []byte) {
	var acked struct{ Accepted, Duplicates int }
	require.NoError(t, json.Unmarshal(answer, &acked))
	var want struct {
		Events []json.RawMessage `json:"events"`
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(plain, &top) == nil { // a struct would take Events for events
		require.NoError(t, json.Unmarshal(top["events"], &want.Events))
	}
	require.Equal(t, len(want.Events), acked.Accepted+acked.Duplicates)
	if len(want.Events) == 0 {
		require.Empty(t, q.batches)
		return
	}
	require.Len(t, q.batches, 1)
	require.Equal(t, string(plain), string(q.batches[0].Body))
	at := 0
	for _, item := range q.batches[0].Items {
		require.Equal(t, string(want.Events[at]), string(plain[item.Start:item.End]))
		at += item.Count
	}
	require.Len(t, want.Events, at)
}

// FuzzRawRequest sends any bytes to the server over a connection. Whatever
// comes, the server answers what HTTP knows, ends in time, and serves the next;
// what it acknowledged is what is stored.
func FuzzRawRequest(f *testing.F) {
	for _, text := range []string{
		"", "\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", post("", oneEvent), post("", oneEvent) + post("", "{}"),
		postChunked("", oneEvent), postChunked("Content-Encoding: gzip\r\n", zipped(oneEvent)), post("Expect: 100-continue\r\n", oneEvent),
		post("Transfer-Encoding: chunked\r\n", "5\r\n{\r\n0\r\n\r\n"), "POST /v1/webhook?writeKey=secret HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST http://x/currents/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		// In fake time, as some of it waits for timeouts.
		inBubble(t, Config{MaxBody: 1 << 16, MaxEvents: 100}, 10, func(t *testing.T, b *bench) {
			began := time.Now()
			acked := 0
			for _, response := range b.exchange(t, text) {
				require.Contains(t, []int{100, 200, 400, 401, 404, 405, 408, 411, 413, 415, 417, 431, 501, 503, 505}, response.status)
				acked += acknowledged(t, response)
			}
			require.Less(t, time.Since(began), 10*time.Minute)
			next := b.exchange(t, []byte(post("Connection: close\r\n", oneEvent)))
			require.Equal(t, []int{200}, statuses(next))
			acked += acknowledged(t, next[0])
			synctest.Wait()
			stored := b.queues["a"].events()
			require.LessOrEqual(t, acked, stored)
			if !bytes.Contains(text, []byte("HEAD ")) { // its response has no body, so those behind it are not understood here
				require.Equal(t, acked, stored)
			}
			require.Zero(t, b.inFlight.Load()+b.buffers.used.Load())
		})
	})
}

func acknowledged(t *testing.T, answer reply) int {
	if answer.status != http.StatusOK {
		return 0
	}
	var acked struct{ Accepted, Duplicates int }
	require.NoError(t, json.Unmarshal([]byte(answer.body), &acked))
	return acked.Accepted + acked.Duplicates
}

func (b *bench) exchange(t *testing.T, text []byte) []reply {
	client, err := b.dial()
	require.NoError(t, err)
	defer client.Close()
	go func() { _, _ = client.Write(text) }()
	got, _ := responsesOn(client)
	return got
}
