package crash

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// rudder is the RudderStack of one connector: a mockrudder behind faults. Its
// own faults would not do: the verdict needs to know when a response was lost,
// and an event is to be refused by one bridge, which depends on its content.
type rudder struct {
	*mockrudder.Server
	recording bytes.Buffer
	calm      atomic.Bool // no faults any more

	mu      sync.Mutex
	rng     *rand.Rand
	losses  []harness.Loss
	life    int            // number of the bridge that runs
	refused map[string]int // the bridge, by id of the events that it is refused
}

func newRudder(t *testing.T, c connector, seed uint64) *rudder {
	s := &rudder{rng: rand.New(rand.NewPCG(seed, uint64(len(c.name)))), refused: map[string]int{}}
	var err error
	s.Server, err = mockrudder.New(mockrudder.WithSource(writeKey, c.source), mockrudder.WithRecording(&s.recording), mockrudder.WithKeep(1))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// lost notes that outcomes of so many events may have been lost until now. Times
// of receipt are compared as they are recorded, which may be rounded.
func (s *rudder) lost(events int64) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = append(s.losses, harness.Loss{From: now.Truncate(time.Millisecond), Until: now, Events: events})
}

// draw says how long a request takes, twice, and draws one of a hundred numbers.
func (s *rudder) draw() (wait time.Duration, percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Duration(s.rng.Int64N(int64(6 * time.Millisecond)))
	if s.rng.IntN(25) == 0 {
		wait *= 10
	}
	return wait, s.rng.IntN(100)
}

func (s *rudder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.calm.Load() || r.Method != http.MethodPost {
		s.Server.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the bridge was killed while it wrote
	}
	wait, percent := s.draw()
	time.Sleep(wait)
	switch {
	case percent < 2:
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case percent < 4:
		panic(http.ErrAbortHandler) // nothing is stored
	case s.refuses(body):
		http.Error(w, "event is not a valid rudder event", http.StatusBadRequest) // as the gateway says it
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	s.Server.ServeHTTP(answer, r)
	if percent < 6 { // it is stored, and there is no response
		s.lost(batchEvents)
		panic(http.ErrAbortHandler)
	}
	time.Sleep(wait)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the bridge may have been killed
}

// refuses says whether one of the messages is to be refused: one in 250 is, by the
// bridge that sends it first, so that it becomes a dead letter that can be
// replayed.
func (s *rudder) refuses(body []byte) bool {
	var request struct{ Batch []struct{ MessageID string } }
	if json.Unmarshal(body, &request) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range request.Batch {
		if crc32.ChecksumIEEE([]byte(m.MessageID))%250 != 0 {
			continue
		}
		if s.refused[m.MessageID] == 0 {
			s.refused[m.MessageID] = s.life
		}
		if s.refused[m.MessageID] == s.life {
			return true
		}
	}
	return false
}

func (s *rudder) serve() *httptest.Server {
	s.mu.Lock()
	s.life++
	s.mu.Unlock()
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	return server
}
