package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// void is a queue that forgets.
type void struct{}

func (void) Append(_ context.Context, b queue.Batch) (queue.Receipt, error) {
	return queue.Receipt{Accepted: len(b.Items)}, nil
}

// silence is a http.ResponseWriter that costs nothing.
type silence struct{ header http.Header }

func (s *silence) Header() http.Header         { return s.header }
func (s *silence) Write(p []byte) (int, error) { return len(p), nil }
func (s *silence) WriteHeader(int)             {}

// batchOf returns a body of n events of about a kilobyte each.
func batchOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"events":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"8a1c6f0e-2f0b-4d3c-9a57-%012d","event_type":"users.messages.email.Open","time":1700000000,"user":{"user_id":"5f1b6c0e2f0b4d3c9a57%04d","external_user_id":"customer-%d","device_id":"d4f2a7","timezone":"Europe/Berlin"},"properties":{"campaign_id":"9a57","campaign_name":"Spring sale","email_address":"someone@example.com","user_agent":"%s"}}`, i, i, i, strings.Repeat("Mozilla/5.0 ", 55))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

type rewound struct{ *bytes.Reader }

func (rewound) Close() error { return nil }

// BenchmarkIntake is a batch of 100 events, or of one, of a kilobyte each through
// the whole handler, without a network and with a queue that forgets.
func BenchmarkIntake(b *testing.B) {
	for _, events := range []int{100, 1} {
		b.Run(fmt.Sprint(events), func(b *testing.B) { benchmark(b, events) })
	}
}

func benchmark(b *testing.B, events int) {
	in := New(Config{Connectors: []Connector{queued(void{}, "a", "secret")}})
	body := batchOf(events)
	source := rewound{bytes.NewReader(body)}
	req, err := http.NewRequest(http.MethodPost, "/currents", io.NopCloser(source))
	require.NoError(b, err)
	req.Body, req.ContentLength = source, int64(len(body))
	req.Header.Set("Authorization", "Bearer secret")
	w := &silence{header: http.Header{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(body)
		in.ServeHTTP(w, req)
	}
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkIntakeOverTCP is the same over a connection of loopback; the client's
// work is part of it.
func BenchmarkIntakeOverTCP(b *testing.B) {
	in := New(Config{Connectors: []Connector{queued(void{}, "a", "secret")}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := in.Server()
	defer server.Close()
	go func() { _ = server.Serve(Listen(ln, 0, nil)) }()
	url := "http://" + ln.Addr().String()
	body := batchOf(100)
	b.ReportAllocs()
	for b.Loop() {
		req, _ := http.NewRequest(http.MethodPost, url+"/currents", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer secret")
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(err, resp)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	b.ReportMetric(float64(b.N*100)/b.Elapsed().Seconds(), "events/s")
}
