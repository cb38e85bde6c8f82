package intake

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// requireServed posts to connector b; the response is 200 and takes no time.
func (b *bench) requireServed(t *testing.T) {
	for range 3 {
		began := time.Now()
		conn := b.raw(t, strings.Replace(post("Connection: close\r\n", oneEvent), "/currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret", "/currents/b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer other", 1))
		requireOK(t, conn)
		require.Zero(t, time.Since(began))
	}
}

// flood sends a text on n connections. The first response of each is sent to the
// channel.
func (b *bench) flood(t *testing.T, n int, text string) <-chan *http.Response {
	responses := make(chan *http.Response, n)
	for range n {
		conn := b.raw(t, "")
		go func() { _, _ = io.WriteString(conn, text) }()
		go func() {
			if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				responses <- response
			}
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
	synctest.Wait()
	return responses
}

// A connector whose queue hangs takes what is its own and what is shared, and
// not what is another's. Its senders get 503 within the queue's timeout.
func TestHungQueueHarmsNoNeighbour(t *testing.T) {
	body := batch(event(`{"a":"` + strings.Repeat("x", 50_000) + `"}`))
	for name, tt := range map[string]struct {
		cfg  Config
		held int // of 100 requests
	}{
		"requests": {Config{MaxRequests: 16}, 12},
		"bytes":    {Config{MaxBody: 64 << 10, MaxBuffered: 4 << 20}, 22}, // 1.5 of 2 MiB, of 64 KiB and a byte each
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tt.cfg, 0, func(t *testing.T, b *bench) {
				q := b.queues["a"]
				q.hang()
				began := time.Now()
				responses := b.flood(t, 100, post("", body))
				require.Equal(t, tt.held, q.inside())
				require.EqualValues(t, tt.held, b.inFlight.Load())
				require.GreaterOrEqual(t, b.buffers.used.Load(), int64(tt.held*len(body)))
				b.requireServed(t)
				for range 100 {
					response := <-responses
					require.Equal(t, 503, response.StatusCode)
					require.Equal(t, "5", response.Header.Get("Retry-After"))
				}
				require.LessOrEqual(t, time.Since(began), 5*time.Second)
				b.quiet(t)
				require.Zero(t, q.count())

				q.release()
				require.Equal(t, 200, (<-b.flood(t, 1, post("", body))).StatusCode)
			})
		})
	}
}

// Senders that stop in the middle of bodies, small and large, or send very many
// elements, leave the neighbour its share of memory.
func TestFloodOfBodiesHarmsNoNeighbour(t *testing.T) {
	announced := head + "Content-Length: 1048576\r\n\r\n"
	for name, text := range map[string]string{
		"stalled small": announced + strings.Repeat(" ", 200_000),
		"stalled large": announced + strings.Repeat(" ", 1_000_000),
		"many elements": strings.Repeat(post("", batch(strings.Repeat("{},", 20_000)+"1")), 2),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Config{MaxBody: 1 << 20, MaxBuffered: 8 << 20}, 0, func(t *testing.T, b *bench) {
				b.queues["a"].hang()
				b.flood(t, 20, text)
				require.LessOrEqual(t, b.buffers.used.Load(), int64(8<<20))
				b.requireServed(t)
			})
		})
	}
}

// Elements that are no objects cost nothing each; objects are counted among the
// memory for bodies before the queue sees them.
func TestMemoryForElementsIsBounded(t *testing.T) {
	const elements = 25_000
	send := func(element string) string { return post("", batch(strings.Repeat(element+",", elements-1)+element)) }
	inBubble(t, Config{MaxBuffered: 8 << 20, MaxBody: 1 << 20}, 0, func(t *testing.T, b *bench) {
		q := b.queues["a"]
		q.hang()
		b.flood(t, 10, send("1"))
		require.Equal(t, 10, q.inside())
		require.LessOrEqual(t, b.buffers.used.Load(), int64(10*256<<10))
		q.release()
		synctest.Wait()
		for _, batch := range q.batches {
			require.Len(t, batch.Items, 1)
			require.Equal(t, elements, batch.Items[0].Count)
		}
		q.hang()
		b.flood(t, 10, send("{}"))
		require.Equal(t, 1, q.inside(), "of 3 MiB")
		require.GreaterOrEqual(t, b.buffers.used.Load(), int64(elements*64))
		require.LessOrEqual(t, b.buffers.used.Load(), int64(8<<20))
	})
}

// Elements that are dead for good are one letter where they have the same bytes and no
// id, however many there are, and those that differ stay apart.
func TestEqualDeadElementsAreOneLetter(t *testing.T) {
	for _, mode := range []string{config.Events, config.Webhook} {
		for _, element := range []string{"{}", `{"event_type":"x"}`, "null"} {
			store, err := queue.Open(t.Context(), queue.Options{Dir: t.TempDir()})
			require.NoError(t, err)
			q, err := store.Queue(t.Context(), "a", 100)
			require.NoError(t, err)
			c := queued(q, "a", "secret")
			c.Mode = mode
			in := New(Config{Connectors: []Connector{c}})
			send := func(events, answer string) {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodPost, "/currents", strings.NewReader(zipped(`{"events":[`+events+`]}`)))
				r.Header = http.Header{"Authorization": {"Bearer secret"}, "Content-Encoding": {"gzip"}}
				in.ServeHTTP(w, r)
				require.JSONEq(t, answer, w.Body.String())
			}
			counts := func() (all []int) {
				letters, err := q.Letters(t.Context(), queue.LetterFilter{Limit: 10})
				require.NoError(t, err)
				for _, l := range letters {
					all = append(all, l.Events)
				}
				return all
			}
			const n = 250_000
			send(strings.Repeat(element+",", n-1)+element, `{"accepted":250000,"duplicates":0,"dead":250000}`)
			require.Equal(t, []int{n}, counts(), element)
			require.Equal(t, uint64(n), q.Ledger().Dead)
			same := `{"id":"1"}`
			send(`{},{},{"a":1},{},`+same+`,`+same+`,"x","x","y"`, `{"accepted":8,"duplicates":1,"dead":8}`)
			require.Equal(t, []int{n, 2, 1, 1, 1, 2, 1}, counts(), element)
			require.NoError(t, store.Close())
		}
	}
}

// When all memory for large bodies is taken the next one is refused, and usual
// ones still pass.
func TestMemoryForBodiesIsBounded(t *testing.T) {
	inBubble(t, Config{MaxBody: 8 << 20, MaxBuffered: 8 << 20, Connectors: []Connector{current("a", "secret")}}, 0, func(t *testing.T, b *bench) {
		large := head + "Content-Length: 8388608\r\n\r\n" + strings.Repeat(" ", 900_000)
		b.flood(t, 3, large) // 1 MiB each
		require.EqualValues(t, 3<<20, b.buffers.used.Load())
		response := <-b.flood(t, 1, post("", strings.Repeat(" ", 3<<20)))
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		require.Equal(t, "5", response.Header.Get("Retry-After"))
		b.flood(t, 1, large) // the last of it
		requireOK(t, b.raw(t, post("", oneEvent)))
		require.EqualValues(t, 4<<20, b.buffers.used.Load())
	})
}

func drip(conn net.Conn, text string) {
	for i := range len(text) {
		time.Sleep(time.Second)
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return
		}
	}
}

// Clients that never fall silent for long and never come to an end, and those
// that do fall silent, lose their connection in bounded time.
func TestSlowSenders(t *testing.T) {
	rows := casefile.Read(t, "testdata/slow.tsv", 5)
	for _, row := range rows {
		row[3], row[4] = frames(row[3]), frames(row[4])
	}
	gzipped := zipped(batch(event(`{"a":"` + strings.Repeat("x", 10_000) + `"}`)))
	rows = append(rows, []string{"a gzip body", "1m", "408", head + "Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + gzipped[:5], gzipped[5:]})
	for _, row := range rows {
		t.Run(row[0], func(t *testing.T) {
			longest, err := time.ParseDuration(row[1])
			require.NoError(t, err)
			inBubble(t, Config{}, 0, func(t *testing.T, b *bench) {
				began := time.Now()
				conn := b.raw(t, "")
				go func() {
					_, _ = io.WriteString(conn, row[3])
					drip(conn, row[4])
				}()
				got := answersOn(t, conn, time.Hour)
				require.LessOrEqual(t, time.Since(began), longest+2*time.Second)
				// One that is slow before the body may see net/http's 400, or only
				// the end of the connection.
				codes := statuses(got)
				if n := len(codes); n > 0 && codes[n-1] == 400 {
					codes = codes[:n-1]
				}
				require.Equal(t, "["+row[2]+"]", fmt.Sprint(codes))
				conn.Close()
				b.settle(t, got)
			})
		})
	}
}

// A client that sends requests without ever reading a response loses its connection.
func TestClientThatNeverReads(t *testing.T) {
	for name, text := range map[string]string{
		"without a token": "POST /currents HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "bad requests": post("", "{"), "good ones": post("", oneEvent),
	} {
		inBubble(t, Config{}, 0, func(t *testing.T, b *bench) {
			conn := b.raw(t, "")
			began := time.Now()
			var err error
			for err == nil { // until the connection is closed
				_, err = io.WriteString(conn, text)
			}
			longest := 2 * time.Second
			if strings.HasPrefix(name, "good") {
				longest = b.server.WriteTimeout + time.Second
			}
			require.LessOrEqual(t, time.Since(began), longest, name)
			synctest.Wait()
			require.Zero(t, b.inFlight.Load())
		})
	}
}

// Beyond the limit the response does not wait for the body, and it says when to
// retry.
func TestTooManyRequests(t *testing.T) {
	b := start(t, Config{MaxRequests: 1, Connectors: []Connector{current("a", "secret")}})
	q := b.queues["a"]
	q.hang()
	first := b.raw(t, post("", oneEvent))
	q.waits(t, 1)
	b.Reload([]Connector{queued(q, "a", "secret")}) // requests in flight still count
	for _, rest := range []string{"Content-Length: 1000\r\n\r\n{", "Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
		response := answerOn(t, b.raw(t, head+rest))
		require.Equal(t, 503, response.StatusCode)
		require.Equal(t, "5", response.Header.Get("Retry-After"))
	}
	require.Equal(t, 401, b.do(t, request{body: oneEvent, header: with("wrong")}).status)
	q.release()
	requireOK(t, first)
	b.quiet(t)
	require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret")}).status)
	require.Equal(t, 2, q.count())
}

func TestQuotas(t *testing.T) {
	takeAll := func(q quota) (n int) {
		for q.take(1) != nil {
			n++
		}
		return n
	}
	three := divide(12, 1, 3) // 2 each, 6 for the first to come
	a, b, c := three(), three(), three()
	require.Equal(t, 8, takeAll(a))
	require.Equal(t, 2, takeAll(b))
	a.shared.Release(1)
	require.Equal(t, 1, takeAll(b), "what one gives back of the shared half, another may take")
	require.Equal(t, 2, takeAll(c))
	require.Equal(t, 12, takeAll(divide(12, 1, 1)()), "one connector alone has all of it")
	five := divide(2, 1, 5)
	for range 5 {
		require.Equal(t, 1, takeAll(five()), "each has the least")
	}
}
