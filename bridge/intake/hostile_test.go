package intake

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// The tests of hostile input send each case over a connection of its own, to
// connector a, while a neighbour posts to connector b. Beside the answer they
// check what holds for every case: see siege.

// siege is a bench under attack.
type siege struct {
	*bench
	stored int // events of connector a that were answered 200
}

func besiege(t *testing.T, cfg Config) *siege { return &siege{bench: start(t, cfg)} }

// attack sends text as it is, ends its half of the connection, and returns all
// answers that came. No case may take longer than the time given, harm the
// neighbour, or make the process allocate more than most bytes.
func (s *siege) attack(t *testing.T, text string, most int64) []reply {
	t.Helper()
	stop := s.neighbour(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	conn := s.raw(t, "")
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, text)
		if half := conn.(*net.TCPConn).CloseWrite(); err == nil && !errors.Is(half, net.ErrClosed) {
			err = half
		}
		sent <- err
	}()
	got := answersOn(t, conn)
	conn.Close()
	<-sent // refused ones need not be sent to their end
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.TotalAlloc-before.TotalAlloc), most, "bytes allocated")
	stop()
	s.settle(t, got)
	return got
}

// neighbour posts to connector b until it is told to stop, at least once.
func (s *siege) neighbour(t *testing.T) (stop func()) {
	t.Helper()
	stopped, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		for {
			req, _ := http.NewRequest(http.MethodPost, s.url+"/currents/b", strings.NewReader(oneEvent))
			req.Header.Set("Authorization", "Bearer other")
			resp, err := client.Do(req)
			if err == nil {
				if resp.StatusCode != http.StatusOK {
					err = fmt.Errorf("the neighbour got %s", resp.Status)
				}
				resp.Body.Close()
			}
			if err != nil {
				failed <- err
				return
			}
			select {
			case <-stopped:
				failed <- nil
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(stopped)
		require.NoError(t, <-failed)
	}
}

// settle checks that exactly what was acknowledged is stored, and that nothing
// is held once all is over.
func (s *siege) settle(t *testing.T, got []reply) {
	t.Helper()
	for _, r := range got {
		if r.status != http.StatusOK {
			continue
		}
		var answer struct{ Accepted, Duplicates int }
		require.NoError(t, json.Unmarshal([]byte(r.body), &answer), r.body)
		s.stored += answer.Accepted + answer.Duplicates
	}
	stored := 0
	q := s.queues["a"]
	q.mu.Lock()
	for _, b := range q.batches {
		stored += len(b.Items)
	}
	q.mu.Unlock()
	require.Equal(t, s.stored, stored, "events stored, of those answered 200")
	require.Eventually(t, func() bool {
		return s.requests.taken() == 0 && s.appends.taken() == 0 && s.buffers.inUse() == 0
	}, 10*time.Second, time.Millisecond, "something is still held")
}

// last returns the batch that connector a stored last.
func (s *siege) last() queue.Batch {
	q := s.queues["a"]
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.batches[len(q.batches)-1]
}

// answersOn reads answers until the connection ends.
func answersOn(t *testing.T, conn net.Conn) []reply {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	var got []reply
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection never ended; answers: %v", got)
			return got
		}
		// net/http ends its own refusals with the connection, which may
		// break before all of them is read.
		body, err := io.ReadAll(resp.Body)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		got = append(got, reply{resp.StatusCode, string(body), resp.Header})
	}
}

// statuses are those of answers.
func statuses(got []reply) []int {
	list := []int{}
	for _, r := range got {
		list = append(list, r.status)
	}
	return list
}

// post is a request to connector a with more header lines and a body.
func post(lines, body string) string {
	return fmt.Sprintf("POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n%sContent-Length: %d\r\n\r\n%s", lines, len(body), body)
}

// postChunked is the same in chunks.
func postChunked(lines string, chunks ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n%sTransfer-Encoding: chunked\r\n\r\n", lines)
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n\r\n"
}
