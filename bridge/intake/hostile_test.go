package intake

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// The tests of hostile input send each case over a connection of its own.

// attack sends text as it is, ends its half of the connection, and returns all
// responses that came. The process may allocate at most the bytes given.
func (b *bench) attack(t *testing.T, text string, most int64) []reply {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	conn := b.raw(t, "")
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, text)
		if half := conn.(*net.TCPConn).CloseWrite(); err == nil && !errors.Is(half, net.ErrClosed) {
			err = half
		}
		sent <- err
	}()
	got := answersOn(t, conn, 30*time.Second)
	conn.Close()
	<-sent // refused ones need not be sent to their end
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.TotalAlloc-before.TotalAlloc), most, "bytes allocated")
	b.settle(t, got)
	return got
}

// settle checks that exactly what was acknowledged is stored, and that nothing
// is held once all is over.
func (b *bench) settle(t *testing.T, got []reply) {
	for _, r := range got {
		b.acked += acknowledged(t, r)
	}
	require.Equal(t, b.acked, b.queues["a"].events(), "events stored, of those answered 200")
	b.quiet(t)
}

func (b *bench) last() queue.Batch {
	q := b.queues["a"]
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.batches[len(q.batches)-1]
}

func answersOn(t *testing.T, conn net.Conn, longest time.Duration) []reply {
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(longest)))
	got, err := responsesOn(conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection never ended; answers: %v", got)
	return got
}

// responsesOn reads responses until the connection ends or breaks. net/http ends its
// own refusals with the connection, which may break before all of them is read.
func responsesOn(conn net.Conn) (got []reply, err error) {
	for in := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			return got, err
		}
		body, err := io.ReadAll(resp.Body)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got, err
		}
		got = append(got, reply{resp.StatusCode, string(body), resp.Header})
	}
}

func statuses(got []reply) []int {
	list := []int{}
	for _, r := range got {
		list = append(list, r.status)
	}
	return list
}

const head = "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n"

func post(lines, body string) string {
	return fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", head, lines, len(body), body)
}

func postChunked(lines string, chunks ...string) string {
	var b strings.Builder
	b.WriteString(head + lines + "Transfer-Encoding: chunked\r\n\r\n")
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n\r\n"
}

func event(properties string) string {
	return `{"id":"e","event_type":"t","user":{"user_id":"u"},"properties":` + properties + `}`
}

func batch(events ...string) string { return `{"events":[` + strings.Join(events, ",") + `]}` }

var run = regexp.MustCompile(`«([^×]*)×(\d+)»`)

// repeated replaces «x×3» by xxx.
func repeated(text string) string {
	return run.ReplaceAllStringFunc(text, func(part string) string {
		match := run.FindStringSubmatch(part)
		n, _ := strconv.Atoi(match[2])
		return strings.Repeat(match[1], n)
	})
}

// TestHostileJSON sends bodies that come well but hold unusual things: what is
// stored is the body as it came, to the byte, with the events given. What is JSON
// and what is an event is tested with package currents and FuzzIntakeBody.
func TestHostileJSON(t *testing.T) {
	malformed := batch("{\"id\":\"\xff\",\"event_type\":\"t\",\"user\":{\"user_id\":\"u\"},\"properties\":{\"\xff\":\"\xfe\xc0\x80\xed\xa0\x80\"}}")
	for _, row := range append(casefile.Read(t, "testdata/hostile.tsv", 5), []string{"invalid UTF-8", "200", "1", "0", malformed}) {
		t.Run(row[0], func(t *testing.T) {
			s, body := start(t, Config{MaxBody: 4 << 20}), repeated(row[4])
			// A buffer four times as large whenever one is full, a copy in
			// the queue, and 130 bytes an event, grown step by step.
			most := 16<<20 + int64(min(strings.Count(body, ","), 250_000))*640
			got := s.attack(t, post("", body), most)
			require.Equal(t, "["+row[1]+"]", fmt.Sprint(statuses(got)))
			if row[1] != "200" {
				require.Zero(t, s.queues["a"].count())
				return
			}
			stored := s.last()
			require.True(t, body == string(stored.Body), "stored is not what came")
			dead := 0
			for _, item := range stored.Items {
				if item.Fate == queue.Dead {
					dead += item.Count
				}
			}
			require.Equal(t, row[2:4], []string{strconv.Itoa(s.queues["a"].events()), strconv.Itoa(dead)})
		})
	}
}

// frames expands the parts of malformed requests: {post} is a whole good one.
func frames(text string) string {
	const auth = "Authorization: Bearer secret\r\n"
	good := batch(event(`{}`))
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good)
	return repeated(strings.NewReplacer("\n", "\r\n", "{post}", post("", good), "{head}", head, "{auth}", auth,
		"{size}", fmt.Sprintf("Content-Length: %d\r\n", len(good)), "{good}", good,
		"{chunks}", chunks, "{chunks-}", chunks[:len(chunks)-2], "{chunk}", chunks[:40]).Replace(text))
}

// TestHostileFraming sends requests whose frame is malformed: lengths, chunks, request
// lines and headers; and several, one after the other. Each answer is that of one request
// read from the connection.
func TestHostileFraming(t *testing.T) {
	tls := []string{"TLS", "400", "0", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xaa", 500) + "\r\n\r\n"}
	for _, tt := range append(casefile.Read(t, "testdata/framing.tsv", 4), tls) {
		t.Run(tt[0], func(t *testing.T) {
			s := start(t, Config{})
			got := s.attack(t, frames(tt[3]), 16<<20)
			require.Equal(t, "["+tt[1]+"]", fmt.Sprint(statuses(got)))
			require.Equal(t, tt[2], fmt.Sprint(s.acked))
			if s.acked > 0 {
				require.Equal(t, batch(event(`{}`)), string(s.last().Body))
			}
			require.NotContains(t, s.log.String(), "xxxxxxxx")
			require.NotContains(t, s.log.String(), "secret")
		})
	}
}

func emptyBlocks(t *testing.T, n int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.NoCompression)
	require.NoError(t, err)
	for range n {
		require.NoError(t, w.Flush())
	}
	return "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b.String()
}

// TestHostileGzip sends bodies whose compression is hostile. The gzipped body
// comes once with its length and once in chunks.
func TestHostileGzip(t *testing.T) {
	good := batch(event(`{}`))
	bomb := zipped(strings.Repeat(" ", 4<<20))
	tests := []struct {
		name   string
		body   string
		plain  string // what is stored; "": nothing
		status int
		text   string // part of the answer
	}{
		{"a bomb of 64 MB", strings.Repeat(bomb, 16), "", 413, "larger than"},
		{"a bomb of 64 MB behind a good batch", zipped(good) + strings.Repeat(bomb, 16), "", 413, "larger than"},
		{"a bomb of 64 MB as one text", zipped(`{"events":["`) + strings.Repeat(bomb, 16), "", 413, "larger than"},
		{"a bomb in a bomb", zipped(bomb), "", 400, "not JSON"},
		{"not gzipped", good, "", 400, "Content-Encoding: gzip"},
		{"garbage behind it", zipped(good) + "garbage", "", 400, "Content-Encoding: gzip"},
		{"zeros behind it", zipped(good) + strings.Repeat("\x00", 512), "", 400, "Content-Encoding: gzip"},
		{"cut before the checksum", zipped(good)[:len(zipped(good))-8], "", 400, "Content-Encoding: gzip"},
		{"cut before the name in its header", zippedWith(100, good)[:10], "", 400, "Content-Encoding: gzip"},
		{"a long name in its header", zippedWith(1<<19, good), "", 400, "Content-Encoding: gzip"},
		{"blocks with nothing in them", emptyBlocks(t, 1<<17), "", 400, "Content-Encoding: gzip"},
		{"too many blocks with nothing in them", emptyBlocks(t, 1<<18), "", 413, "larger than"},
		{"too many members with nothing in them", strings.Repeat(zipped(""), 60_000), "", 413, "larger than"},

		{"many members", zipped(good[:30]) + strings.Repeat(zipped(""), 10_000) + zipped(good[30:]), good, 200, `"accepted":1`},
		{"members with nothing in them", strings.Repeat(zipped(""), 1000), "", 200, `"accepted":0`},
		{"blanks", zipped(strings.Repeat(" ", 1<<20)), "", 200, `"accepted":0`},
	}
	for _, tt := range tests {
		for framing, text := range map[string]string{
			"": post("Content-Encoding: gzip\r\n", tt.body), ", in chunks": postChunked("Content-Encoding: gzip\r\n", tt.body),
		} {
			t.Run(tt.name+framing, func(t *testing.T) {
				s := start(t, Config{MaxBody: 1 << 20})
				got := s.attack(t, text, 16<<20)
				require.Equal(t, []int{tt.status}, statuses(got))
				require.Contains(t, got[0].body, tt.text)
				if tt.plain == "" {
					require.Zero(t, s.queues["a"].count())
				} else {
					require.Equal(t, tt.plain, string(s.last().Body))
				}
			})
		}
	}
}
