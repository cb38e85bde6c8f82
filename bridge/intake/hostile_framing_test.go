package intake

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// framed is a text on a connection, the answers to it, and how many events are
// stored.
type framed struct {
	name     string
	text     string
	statuses []int
	events   int
}

// framing is what requests with an odd frame are made of.
type framing struct {
	good   string // a batch of one event
	auth   string
	head   string // up to the token
	size   string // the header with good's length
	chunks string // good as chunks
}

func newFraming() framing {
	good := batch(event(`{}`))
	const auth = "Authorization: Bearer secret\r\n"
	return framing{
		good: good, auth: auth,
		head:   "POST /currents HTTP/1.1\r\nHost: x\r\n" + auth,
		size:   fmt.Sprintf("Content-Length: %d\r\n", len(good)),
		chunks: fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good),
	}
}

// TestHostileFraming sends requests whose frame is odd: lengths, chunks,
// request lines and headers. Each answer is that of one request read from the
// connection; events are those stored.
func TestHostileFraming(t *testing.T) {
	f := newFraming()
	for _, tt := range slices.Concat(f.rows(), f.lengths(), f.chunked(), f.versions(), f.targets(), f.headers()) {
		t.Run(tt.name, func(t *testing.T) {
			s := besiege(t, Config{})
			got := s.attack(t, tt.text, 16<<20)
			require.Equal(t, tt.statuses, statuses(got))
			require.Equal(t, tt.events, s.stored)
			if tt.events > 0 {
				require.Equal(t, f.good, string(s.last().Body))
			}
			require.NotContains(t, s.log.String(), "xxxxxxxx")
			require.NotContains(t, s.log.String(), "secret")
		})
	}
}

// rows are cases of several requests, one after the other.
func (f framing) rows() []framed {
	return []framed{
		{"three in a row", post("", f.good) + post("", batch()) + post("", f.good), []int{200, 200, 200}, 2},
		{"a bad batch does not spoil the next in the row", post("", "{") + post("", f.good), []int{400}, 0},
		{"a good one, then a wrong token", post("", f.good) + strings.Replace(post("", f.good), "secret", "wrong", 1), []int{200, 401}, 1},
		{"half a request behind a good one", post("", f.good) + f.head + "Content-Le", []int{200, 400}, 1},
	}
}

// lengths are cases of what Content-Length says.
func (f framing) lengths() []framed {
	return []framed{
		{"length too short", f.head + "Content-Length: 20\r\n\r\n" + f.good, []int{400}, 0},
		{"length too short, the rest looks like a request", f.head + "Content-Length: 13\r\n\r\n" + `{"events":[]}` + "POST /currents HTTP/1.1\r\nHost: x\r\n" + f.size + "\r\n" + f.good, []int{200, 401}, 0},
		{"length too long", f.head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(f.good)+1) + f.good, []int{400}, 0},
		{"length negative", f.head + "Content-Length: -1\r\n\r\n" + f.good, []int{400}, 0},
		{"length with a plus", f.head + "Content-Length: +13\r\n\r\n" + f.good, []int{400}, 0},
		{"length is no number", f.head + "Content-Length: 0x10\r\n\r\n" + f.good, []int{400}, 0},
		{"length beyond 64 bits", f.head + "Content-Length: 99999999999999999999\r\n\r\n" + f.good, []int{400}, 0},
		{"length of 8 exabytes", f.head + "Content-Length: 9223372036854775807\r\n\r\n" + f.good, []int{413}, 0},
		{"length empty", f.head + "Content-Length: \r\n\r\n" + f.good, []int{400}, 0},
		{"length twice, the same", f.head + f.size + f.size + "\r\n" + f.good, []int{200}, 1},
		{"length twice, not the same", f.head + f.size + "Content-Length: 5\r\n\r\n" + f.good, []int{400}, 0},
		{"lengths in one line", f.head + fmt.Sprintf("Content-Length: %d, 5\r\n\r\n", len(f.good)) + f.good, []int{400}, 0},
		{"no length", f.head + "\r\n" + f.good, []int{200, 400}, 0}, // an empty body, and then no request
	}
}

// chunked are cases of what Transfer-Encoding says.
func (f framing) chunked() []framed {
	return []framed{
		{"length and chunks", f.head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + f.chunks, []int{200}, 1},
		{"another transfer encoding", f.head + "Transfer-Encoding: gzip\r\n\r\n" + f.chunks, []int{501}, 0},
		{"two transfer encodings", f.head + "Transfer-Encoding: gzip, chunked\r\n\r\n" + f.chunks, []int{501}, 0},
		{"transfer encoding twice", f.head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + f.chunks, []int{501}, 0},
		{"transfer encoding with a vertical tab", f.head + "Transfer-Encoding: \vchunked\r\n\r\n" + f.chunks, []int{400}, 0},
		{"chunks that stop in the middle", f.head + "Transfer-Encoding: chunked\r\n\r\n" + f.chunks[:40], []int{400}, 0},
		{"chunks without the last", f.head + "Transfer-Encoding: chunked\r\n\r\n" + f.chunks[:len(f.chunks)-5], []int{400}, 0},
		{"chunks without the last line end", f.head + "Transfer-Encoding: chunked\r\n\r\n" + f.chunks[:len(f.chunks)-2], []int{400}, 0},
		{"a chunk longer than it says", f.head + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + f.good + "\r\n0\r\n\r\n", []int{400}, 0},
		{"a chunk's size is no number", f.head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + f.good + "\r\n0\r\n\r\n", []int{400}, 0},
		{"a chunk's size beyond 64 bits", f.head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + f.good, []int{400}, 0},
		{"a chunk's size negative", f.head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + f.good, []int{400}, 0},
		{"chunks of one byte", postChunked("", strings.Split(f.good, "")...), []int{200}, 1},
		{"a chunk with a long extension", f.head + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 1<<20) + "\r\n{\r\n0\r\n\r\n", []int{400}, 0},
		{"chunks with a trailer", f.head + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n" + f.chunks[:len(f.chunks)-2] + "X: 1\r\n\r\n", []int{200}, 1},
		{"chunks with a trailer without end", f.head + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n" + f.chunks[:len(f.chunks)-2] + "X: " + strings.Repeat("1", 1<<20), []int{400}, 0},
	}
}

// versions are cases of versions of HTTP, and what is none.
func (f framing) versions() []framed {
	return []framed{
		{"HTTP/1.0", "POST /currents HTTP/1.0\r\n" + f.auth + f.size + "\r\n" + f.good, []int{200}, 1},
		{"HTTP/1.0, kept open", "POST /currents HTTP/1.0\r\nConnection: keep-alive\r\n" + f.auth + f.size + "\r\n" + f.good + post("", f.good), []int{200, 200}, 2},
		{"HTTP/1.0 in chunks", "POST /currents HTTP/1.0\r\n" + f.auth + "Transfer-Encoding: chunked\r\n\r\n" + f.chunks, []int{411}, 0},
		{"HTTP/1.0 without a length", "POST /currents HTTP/1.0\r\n" + f.auth + "\r\n" + f.good, []int{411}, 0},
		{"HTTP/1.0 that expects", "POST /currents HTTP/1.0\r\nExpect: 100-continue\r\n" + f.auth + f.size + "\r\n" + f.good, []int{200}, 1},
		{"HTTP/0.9", "POST /currents\r\n\r\n", []int{400}, 0},
		{"HTTP/3.0", "POST /currents HTTP/3.0\r\nHost: x\r\n" + f.auth + f.size + "\r\n" + f.good, []int{505}, 0},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}, 0},
		{"an upgrade to HTTP/2", f.head + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + f.size + "\r\n" + f.good, []int{200}, 1},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xaa", 500) + "\r\n\r\n", []int{400}, 0},
		{"nothing", "", []int{}, 0},
		{"line ends", strings.Repeat("\r\n", 100), []int{400}, 0},
	}
}

// targets are cases of methods and URLs.
func (f framing) targets() []framed {
	return []framed{
		{"the whole URL as target", "POST http://x/currents HTTP/1.1\r\nHost: x\r\n" + f.auth + f.size + "\r\n" + f.good, []int{200}, 1},
		{"another host as target", "POST https://elsewhere:1/currents/a HTTP/1.1\r\nHost: x\r\n" + f.auth + f.size + "\r\n" + f.good, []int{200}, 1},
		{"CONNECT", "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n" + f.auth + "\r\n", []int{404}, 0},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", []int{404}, 0},
		{"method in small letters", strings.Replace(post("", f.good), "POST", "post", 1), []int{405}, 0},
		{"method unknown", strings.Replace(post("", f.good), "POST", "BREW", 1), []int{405}, 0},
		{"no method", strings.Replace(post("", f.good), "POST ", " ", 1), []int{400}, 0},
		{"a method overridden", strings.Replace(post("X-HTTP-Method-Override: POST\r\n", f.good), "POST", "GET", 1), []int{405}, 0},
		{"dots in the path", strings.Replace(post("", f.good), "/currents", "/x/../currents", 1), []int{404}, 0},
		{"two slashes", strings.Replace(post("", f.good), "/currents", "//currents", 1), []int{404}, 0},
		{"an escaped slash", strings.Replace(post("", f.good), "/currents", "/currents%2Fa", 1), []int{200}, 1},
		{"NUL in the path", strings.Replace(post("", f.good), "/currents", "/currents/a%00", 1), []int{404}, 0},
		{"a broken escape in the path", strings.Replace(post("", f.good), "/currents", "/currents%zz", 1), []int{400}, 0},
		{"a long URL", strings.Replace(post("", f.good), "/currents", "/currents?"+strings.Repeat("x", 32<<10), 1), []int{431}, 0},
		{"a URL of a megabyte", strings.Replace(post("", f.good), "/currents", "/currents/"+strings.Repeat("x", 1<<20), 1), []int{431}, 0},
	}
}

// headers are cases of other headers.
func (f framing) headers() []framed {
	return []framed{
		{"a long header", post("X: "+strings.Repeat("x", 32<<10)+"\r\n", f.good), []int{431}, 0},
		{"many headers", post(strings.Repeat("X: x\r\n", 10_000), f.good), []int{431}, 0},
		{"a long token", strings.Replace(post("", f.good), "secret", strings.Repeat("s", 12<<10), 1), []int{401}, 0},
		{"two tokens, the first counts", post("Authorization: Bearer wrong\r\n", f.good), []int{200}, 1},
		{"two tokens, the wrong one first", "POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n" + f.auth + f.size + "\r\n" + f.good, []int{401}, 0},
		{"a blank before the colon", strings.Replace(post("", f.good), "Authorization:", "Authorization :", 1), []int{400}, 0},
		{"a header over two lines", strings.Replace(post("", f.good), "Bearer secret", "Bearer\r\n secret", 1), []int{200}, 1},
		{"a line end in a header", post("X: a\rAuthorization: Bearer wrong\r\n", f.good), []int{400}, 0},
		{"NUL in a header", post("X: a\x00\r\n", f.good), []int{400}, 0},
		{"a header that is none", post("nothing\r\n", f.good), []int{400}, 0},
		{"no host", strings.Replace(post("", f.good), "Host: x\r\n", "", 1), []int{400}, 0},
		{"two hosts", post("Host: y\r\n", f.good), []int{400}, 0},
		{"line ends without CR", strings.ReplaceAll(post("", f.good), "\r\n", "\n"), []int{200}, 1},
		{"expects something else", post("Expect: tea\r\n", f.good), []int{417}, 0},
	}
}
