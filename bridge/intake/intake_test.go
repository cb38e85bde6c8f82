package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

const oneAccepted, noneAccepted = "{\"accepted\":1,\"duplicates\":0,\"dead\":0}\n", "{\"accepted\":0,\"duplicates\":0,\"dead\":0}\n"

// answer is a request and what must become of it.
type answer struct {
	name   string
	status int
	stored string // the connector that has a batch afterwards
	body   string // the whole body of a 200, a part of the error otherwise
	req    request
}

func answersOf(t *testing.T, file string) (list []answer) {
	for _, row := range casefile.Read(t, file, 7) {
		a := answer{name: row[0], stored: row[2], body: row[3], req: request{header: map[string]string{}}}
		a.status, _ = strconv.Atoi(row[1])
		if a.status == http.StatusOK {
			a.body += "\n"
		}
		a.req.method, a.req.path, _ = strings.Cut(row[4], " ")
		for header := range strings.SplitSeq(row[5], "; ") {
			name, value, _ := strings.Cut(header, ": ")
			a.req.header[name] = value
		}
		delete(a.req.header, "")
		_, a.req.chunked = a.req.header["Chunked"]
		delete(a.req.header, "Chunked")
		a.req.body = repeated(strings.ReplaceAll(row[6], "ONE", oneEvent))
		if plain, found := strings.CutPrefix(a.req.body, "gzip "); found {
			a.req.body = zipped(plain)
		}
		list = append(list, a)
	}
	return list
}

func TestAnswers(t *testing.T) {
	for _, tt := range answersOf(t, "testdata/answers.tsv") {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, Config{MaxBody: 4999, MaxEvents: 100})
			got := b.do(t, tt.req)
			require.Equal(t, tt.status, got.status, got.body)
			require.Equal(t, "application/json; charset=utf-8", got.header.Get("Content-Type"))
			if tt.status == http.StatusOK {
				require.Equal(t, tt.body, got.body)
			} else {
				require.True(t, strings.HasPrefix(got.body, `{"error":"`), got.body)
				require.Contains(t, got.body, tt.body)
			}
			for name, q := range b.queues {
				want := 0
				if name == tt.stored {
					want = 1
				}
				require.Equal(t, want, q.count(), "batches of connector %s", name)
			}
			switch tt.status {
			case http.StatusUnauthorized:
				require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"))
			case http.StatusMethodNotAllowed:
				require.Equal(t, "POST", got.header.Get("Allow"))
			case http.StatusUnsupportedMediaType:
				require.Equal(t, "gzip", got.header.Get("Accept-Encoding"))
			}
			for _, secret := range []string{"secret", "other", "wrong", "next", "writeKey", "Brand"} {
				require.NotContains(t, b.log.String(), secret)
			}
		})
	}
}

func (b *bench) requireAnswers(t *testing.T, file string) {
	for _, tt := range answersOf(t, file) {
		got := b.do(t, tt.req)
		require.Equal(t, tt.status, got.status, tt.name)
		require.Equal(t, map[int]string{503: "5"}[tt.status], got.header.Get("Retry-After"))
		require.Equal(t, map[int]string{401: "Bearer"}[tt.status], got.header.Get("WWW-Authenticate"))
	}
}

func TestOpenConnectors(t *testing.T) {
	b := start(t, Config{Connectors: []Connector{current("a", "t"), current("o")}})
	b.requireAnswers(t, "testdata/open.tsv")
	require.Equal(t, 3, b.queues["o"].count())
}

const (
	userID    = `"user":{"user_id":"u"}`
	bothIDs   = `"user":{"user_id":"u","external_user_id":"x"}`
	typeT     = `"event_type":"t"`
	fatesBody = `{"events":[
		7,null,
		{"id":"1",` + userID + `},
		{"id":2,` + typeT + `},
		{"id":"3",` + typeT + `,"user":{"user_id":"  ","external_user_id":null}},
		true,
		{"id":"4",` + typeT + `,` + userID + `},
		{"id":"5",` + typeT + `,` + bothIDs + `},
		{"id":" ",` + typeT + `,` + bothIDs + `,"properties":{"constructor":1}},
		{` + typeT + `,` + bothIDs + `,"properties":{"z":"\u0000"}},
		{"id":"8",` + typeT + `,` + bothIDs + `,"properties":{"a.b":9007199254740993}},
		{"id":"8","event_type":"agent.\u0054ool"},
		{"id":"8","event_type":5,` + bothIDs + `}]}`
)

func TestFates(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/fates.tsv", 5) {
		t.Run(tt[0], func(t *testing.T) {
			c := config.Connector{Name: "a", Tokens: []string{"secret"}}
			require.NoError(t, json.Unmarshal([]byte(tt[4]), &c))
			b := start(t, Config{Connectors: []Connector{{Connector: c}}})
			got := b.do(t, request{body: fatesBody, header: with("secret")})
			require.Equal(t, 200, got.status)
			require.Equal(t, fmt.Sprintf("{\"accepted\":13,\"duplicates\":0,\"dead\":%s}\n", tt[1]), got.body)
			batch := b.queues["a"].batches[0]
			require.Equal(t, fatesBody, string(batch.Body))
			require.WithinDuration(t, time.Now(), batch.ReceivedAt, time.Minute)
			var fates []string
			var ids []queue.Hash
			var counts []int
			for _, item := range batch.Items {
				fates = append(fates, cmp.Or(item.Reason, map[queue.Fate]string{queue.Pending: ".", queue.Filtered: "filtered"}[item.Fate]))
				ids = append(ids, item.ID)
				counts = append(counts, item.Count)
			}
			require.Equal(t, tt[3], strings.Join(fates, " "))
			hash := func(eventType, id string) queue.Hash { return queue.HashType([]byte(eventType)).Event([]byte(id)) }
			require.Equal(t, []queue.Hash{{}, {}, hash("", "1"), hash("t", "2"), hash("t", "3"), {}, hash("t", "4"), hash("t", "5"), {}, {},
				hash("t", "8"), hash("agent.Tool", "8"), hash("5", "8")}, ids)
			require.Equal(t, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, counts)
			require.Equal(t, "7", fatesBody[batch.Items[0].Start:batch.Items[0].End])
			require.Equal(t, tt[2], b.metric(t, "bridge_webhook_changed_events_total"))
		})
	}
}

// 413 makes Braze halve the batch, so that all but the event in question pass.
func TestStoreFailuresAreAnswered503(t *testing.T) {
	for _, tt := range []struct {
		err                     error
		status                  int
		retryAfter, said, noted string
	}{
		{queue.ErrFull, 503, "5", "again later", "batches could not be stored; Braze was asked to retry"},
		{queue.ErrClosed, 503, "5", "again later", "batches could not be stored"},
		{queue.ErrFailed, 503, "5", "again later", "batches could not be stored"},
		{queue.ErrAway, 503, "5", "again later", "batches could not be stored"},
		{errors.New("disk on fire"), 503, "5", "again later", "batches could not be stored"},
		{queue.ErrTooLarge, 413, "", "the batch, or an event in it, is larger than the bridge's queue can keep", "event of 2 MB"},
	} {
		b := start(t, Config{})
		b.queues["a"].err = fmt.Errorf("event of 2 MB: %w", tt.err)
		got := b.do(t, request{body: oneEvent, header: with("secret")})
		require.Equal(t, tt.status, got.status)
		require.Equal(t, tt.retryAfter, got.header.Get("Retry-After"))
		require.Contains(t, got.body, tt.said)
		require.Contains(t, b.log.String(), tt.noted)
		require.Equal(t, tt.status == 503, strings.Contains(b.log.String(), "retry"))
		// The probe of the credentials stores nothing.
		require.Equal(t, 200, b.do(t, request{header: with("secret")}).status)
	}
}

// A refusal comes at once, whatever of the body is missing: in fake time, no
// time passes until it is there.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	const good, wrong = "Authorization: Bearer secret\r\n", "Authorization: Bearer no\r\n"
	post := func(path, lines string) string { return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n" }
	heads := map[string]int{ // and the status of the answer
		post("/currents", good+"Content-Length: 1048577\r\n"):                                     413,
		"GET /currents HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{":                      405,
		post("/x", "Content-Length: 1000\r\n"):                                                    404,
		post("/currents/x", good+"Content-Length: 1000\r\n"):                                      404,
		post("/currents", good+"Content-Encoding: br\r\nContent-Length: 1000\r\n"):                415,
		"POST /currents HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("headers without end", 2000): 431,
	}
	for _, lines := range []string{
		"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n", "Content-Encoding: gzip\r\nContent-Length: 1000\r\n",
		"Content-Encoding: br\r\nContent-Length: 1000\r\n", "Content-Length: 9223372036854775807\r\n",
	} {
		for path, auth := range map[string]string{
			"/currents": wrong, "/currents/b": good, "/currents/zzz": "", "/v1/webhook?writeKey=no": good, "/v1/webhook": "",
		} {
			heads[post(path, "Expect: 100-continue\r\n"+auth+lines)] = 401
		}
	}
	for head, status := range heads {
		t.Run(fmt.Sprintf("%.150q", head), func(t *testing.T) {
			inBubble(t, Config{MaxBody: 1 << 20}, 0, func(t *testing.T, b *bench) {
				began := time.Now()
				conn := b.raw(t, "")
				go func() { _, _ = conn.Write([]byte(head)) }()
				in := bufio.NewReader(conn)
				response, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				require.Equal(t, status, response.StatusCode)
				require.Zero(t, time.Since(began))
				_, err = io.Copy(io.Discard, in)
				require.NoError(t, err, "the connection is closed")
				require.LessOrEqual(t, time.Since(began), drainTime+time.Second)
			})
		})
	}
}

// A client that writes all of its body before it reads must see the answer, not
// a broken connection: only 413 makes Braze send smaller batches.
func TestClientThatWritesBeforeItReadsSees413(t *testing.T) {
	b := start(t, Config{MaxBody: 1 << 20})
	size := 4 << 20
	for framing, end := range map[string]string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n", size):               "",
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size): "\r\n0\r\n\r\n",
	} {
		conn := b.raw(t, head+framing)
		require.NoError(t, conn.SetWriteDeadline(time.Now().Add(10*time.Second)))
		_, err := conn.Write(append(bytes.Repeat([]byte(" "), size), end...))
		require.NoError(t, err)
		require.Equal(t, 413, answerOn(t, conn).StatusCode)
	}
}

// What is logged at any level holds no query, no token and nothing of a body,
// whatever is wrong with the request.
func TestQueriesAreNeverLogged(t *testing.T) {
	b := start(t, Config{})
	for _, query := range []string{"writeKey=k-private", "writeKey=k-private;x", "writeKey=%zz-k-private", "k-private", "writeKey=%00k-private", "?k-private", "writeKey=a&writeKey=k-private"} {
		for _, method := range []string{"POST", "GET", "post", "PRI"} {
			for _, path := range []string{"/v1/webhook", "/currents", "/v1/webhook/", "/x", "*", "http://x/v1/webhook"} {
				conn := b.raw(t, method+" "+path+"?"+query+" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX-Braze: k-private\r\n\r\nk-private")
				status := answerOn(t, conn).StatusCode
				require.Contains(t, []int{400, 401, 404, 405}, status, "%s %s?%s", method, path, query)
			}
		}
	}
	require.Contains(t, b.log.String(), "without a good token", "something is logged")
	require.NotContains(t, b.log.String(), "k-private")
}

func TestVersions(t *testing.T) {
	b := start(t, Config{})
	for range 3 {
		for _, version := range []string{"", "1", " 1 ", strings.Repeat("9", 5000)} {
			require.Equal(t, 200, b.do(t, request{body: oneEvent, header: with("secret", "Braze-Currents-Version", version)}).status)
		}
	}
	require.Equal(t, "3", b.metric(t, "bridge_unknown_version_requests_total"))
	require.Equal(t, 1, strings.Count(b.log.String(), "version of Currents"))
	require.NotContains(t, b.log.String(), strings.Repeat("9", maxVersionName+1))
}
