package mockrudder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// batchOf makes a batch of n messages of about a kilobyte.
func batchOf(n int) string {
	var body strings.Builder
	body.WriteString(`{"batch":[`)
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"},"device":{"id":"d-%d"},"timezone":"America/New_York"},`+
			`"integrations":{"Braze":false},"type":"track","event":"users.messages.email.Open","messageId":"m-%d","anonymousId":"a-%d","userId":"u-%d",`+
			`"traits":{"email":"person.%d@example.com"},"timestamp":"2026-01-31T09:30:00.000Z","properties":{"padding":"%s","number":12345.5,"flag":true}}`,
			i, i, i, i, i, strings.Repeat("x", 560))
	}
	body.WriteString("]}")
	return body.String()
}

func benchmarkBatch(b *testing.B, opts ...mockrudder.Option) {
	const events = 1000
	server, err := mockrudder.New(append(opts, mockrudder.WithKeep(10_000))...)
	require.NoError(b, err)
	defer server.Close()
	body := batchOf(events)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		request := httptest.NewRequest(http.MethodPost, "/v1/batch", strings.NewReader(body))
		request.SetBasicAuth("wkHTTP", "")
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
	b.ReportMetric(float64(b.N)*events/(cpuTime()-before).Seconds(), "events/CPU-s")
}

// cpuTime is what the process has used, the collector's work too. Unlike the
// time of day it is the same on a machine that others use.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkBatch(b *testing.B)     { benchmarkBatch(b) }
func BenchmarkBatchSink(b *testing.B) { benchmarkBatch(b, mockrudder.WithoutValidation()) }

// A webhook's events, one of each type, are mapped to messages, and both are
// judged.
func BenchmarkWebhook(b *testing.B)     { benchmarkWebhook(b) }
func BenchmarkWebhookSink(b *testing.B) { benchmarkWebhook(b, mockrudder.WithoutValidation()) }

func benchmarkWebhook(b *testing.B, opts ...mockrudder.Option) {
	server, err := mockrudder.New(append(opts, mockrudder.WithKeep(10_000))...)
	require.NoError(b, err)
	defer server.Close()
	files, err := filepath.Glob("../fixtures/events/users.*.json") // those that have a user
	require.NoError(b, err)
	var events []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(b, err)
		var event bytes.Buffer
		require.NoError(b, json.Compact(&event, text))
		events = append(events, event.String())
	}
	body := `{"events":[` + strings.Join(events, ",") + `]}`
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		request := httptest.NewRequest(http.MethodPost, "/v1/webhook?writeKey=wkBraze", strings.NewReader(body))
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
	b.ReportMetric(float64(b.N*len(events))/(cpuTime()-before).Seconds(), "events/CPU-s")
}

// A search through all that a server keeps by default: by a field, by text, and
// for the newest page of a list.
func BenchmarkSearch(b *testing.B) {
	s := server(b)
	body := strings.Builder{}
	for sent := 0; sent < mockrudder.DefaultKeep; sent += 1000 {
		body.Reset()
		body.WriteString(`{"batch":[`)
		for i := range 1000 {
			if i > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `{"type":"track","event":"e","userId":"u%d","messageId":"m%d","properties":{"x":"%s"}}`, sent+i, sent+i, strings.Repeat("y", 900))
		}
		body.WriteString(`]}`)
		probe{path: batchPath, key: "wkHTTP", body: body.String()}.send(s)
	}
	for name, query := range map[string]string{"user": "userId=nobody", "text": "q=nothing", "newest": "order=desc&limit=100"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				probe{method: http.MethodGet, path: "/_mock/events?summary=1&" + query}.send(s)
			}
		})
	}
}
