package crash

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sink is a stand-in for RudderStack that is cheap, bad at its work, and notes
// who has brought what: the URL that a bridge posts to names its life and the
// connector, /LIFE/CONNECTOR/v1/batch.
type sink struct {
	books *books
	url   string
	calm  atomic.Bool // no faults any more
	lost  atomic.Int64
	close func() // waits for what is under way

	mu   sync.Mutex
	rng  *rand.Rand
	trap *trap
}

// trap kills the bridge while the sink has a POST of it in hand.
type trap struct {
	answered bool // after the answer has left; false: before
	left     int  // POSTs until then
	kill     func()
}

func startSink(t *testing.T, b *books, seed uint64) *sink {
	s := &sink{books: b, rng: rand.New(rand.NewPCG(seed, 0x51c))}
	server := httptest.NewServer(s)
	s.url, s.close = server.URL, sync.OnceFunc(server.Close)
	t.Cleanup(s.close)
	return s
}

// of is the URL for a connector of a life.
func (s *sink) of(life int, connector string) string {
	return s.url + "/" + strconv.Itoa(life) + "/" + connector
}

func (s *sink) set(t *trap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trap = t
}

// sprung says whether this POST is the one at which the bridge is to die.
func (s *sink) sprung() *trap {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trap == nil {
		return nil
	}
	if s.trap.left--; s.trap.left > 0 {
		return nil
	}
	sprung := s.trap
	s.trap = nil
	return sprung
}

// mishap is how a POST goes wrong.
type mishap int

const (
	none     mishap = iota
	unwell          // 500, nothing is stored
	cutShort        // the connection is cut, nothing is stored
	loseNews        // it is stored, and the connection is cut before the answer
)

// fortune says how long a POST takes and what goes wrong with it.
func (s *sink) fortune() (time.Duration, mishap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calm.Load() {
		return 0, none
	}
	wait := time.Duration(s.rng.Int64N(int64(12 * time.Millisecond)))
	if s.rng.IntN(25) == 0 {
		wait *= 10
	}
	switch n := s.rng.IntN(100); {
	case n < 4:
		return wait, unwell
	case n < 6:
		return wait, cutShort
	case n < 8:
		return wait, loseNews
	}
	return wait, none
}

// ServeHTTP takes one POST.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	place := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	life, err := strconv.Atoi(place[0])
	if err != nil || len(place) != 3 {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		return // it may ask what this server can
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the bridge died in the middle of it
	}
	wait, fate := s.fortune()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	<-timer.C
	switch fate {
	case unwell:
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case cutShort:
		panic(http.ErrAbortHandler)
	}
	s.judge(w, life, place[1], place[2] == "v1/webhook", body, fate == loseNews)
}

// judge stores a POST or refuses it, and answers.
func (s *sink) judge(w http.ResponseWriter, life int, connector string, webhook bool, body []byte, lose bool) {
	messages, err := split(webhook, body)
	if err != nil {
		s.books.report(err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if s.books.refuse(connector, messages) {
		http.Error(w, "refused", http.StatusBadRequest)
		return
	}
	if !s.books.arrived(life, connector, messages, lose) {
		http.Error(w, "nobody is there", http.StatusServiceUnavailable)
		return
	}
	if lose {
		s.lost.Add(1)
		panic(http.ErrAbortHandler)
	}
	sprung := s.sprung()
	if sprung != nil && !sprung.answered {
		sprung.kill()
		return
	}
	_, _ = io.WriteString(w, "OK")
	if sprung != nil {
		_ = http.NewResponseController(w).Flush()
		sprung.kill()
	}
}

// split finds the messages of a POST.
func split(webhook bool, body []byte) ([]message, error) {
	var parts struct {
		Batch  []json.RawMessage `json:"batch"`
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, err
	}
	raws := parts.Batch
	if webhook {
		raws = parts.Events
	}
	messages := make([]message, 0, len(raws))
	for _, raw := range raws {
		m, err := read(webhook, raw)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}
