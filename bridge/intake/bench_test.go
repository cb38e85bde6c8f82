package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

type void struct{}

func (void) Append(_ context.Context, b queue.Batch) (queue.Receipt, error) {
	return queue.Receipt{Accepted: len(b.Items)}, nil
}

type silence struct{ header http.Header }

func (s *silence) Header() http.Header         { return s.header }
func (s *silence) Write(p []byte) (int, error) { return len(p), nil }
func (s *silence) WriteHeader(int)             {}

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
	body, _ := currentstest.EmailOpens(events)
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
