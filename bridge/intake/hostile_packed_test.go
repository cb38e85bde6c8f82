package intake

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// zippedBlanks returns blanks packed at the highest ratio, about 1,000 to 1.
func zippedBlanks(t *testing.T, n int) string {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range n >> 20 {
		_, err = w.Write(chunk)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

// zippedWith packs text under a gzip header with a name of that many bytes.
func zippedWith(t *testing.T, name int, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = strings.Repeat("n", name)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// emptyBlocks is a gzip member of n blocks with nothing in them.
func emptyBlocks(t *testing.T, n int) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.NoCompression)
	require.NoError(t, err)
	for range n {
		require.NoError(t, w.Flush())
	}
	return "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b.String()
}

// TestHostilePacking sends bodies whose packing is a trap. The packed body
// comes once with its length and once in chunks.
func TestHostilePacking(t *testing.T) {
	good := batch(event(`{}`))
	tests := []struct {
		name   string
		body   string
		plain  string // what is stored; "": nothing
		status int
		text   string // part of the answer
	}{
		{"a bomb of 1 GB", strings.Repeat(zippedBlanks(t, 64<<20), 16), "", 413, "larger than"},
		{"a bomb of 1 GB behind a good batch", zipped(good) + strings.Repeat(zippedBlanks(t, 64<<20), 16), "", 413, "larger than"},
		{"a bomb of 1 GB as one text", zipped(`{"events":["`) + strings.Repeat(zippedBlanks(t, 64<<20), 16), "", 413, "larger than"},
		{"a bomb in a bomb", zipped(zippedBlanks(t, 64<<20)), "", 400, "not JSON"},
		{"packed twice", zipped(zipped(good)), "", 400, "not JSON"},
		{"not packed", good, "", 400, "Content-Encoding: gzip"},
		{"garbage behind it", zipped(good) + "garbage", "", 400, "Content-Encoding: gzip"},
		{"zeros behind it", zipped(good) + strings.Repeat("\x00", 512), "", 400, "Content-Encoding: gzip"},
		{"a second member cut short", zipped(good) + zipped(good)[:12], "", 400, "Content-Encoding: gzip"},
		{"two documents in two members", zipped(good) + zipped(good), "", 400, "not JSON"},
		{"cut before the checksum", zipped(good)[:len(zipped(good))-8], "", 400, "Content-Encoding: gzip"},
		{"cut in the middle", zipped(good)[:len(zipped(good))/2], "", 400, "Content-Encoding: gzip"},
		{"a wrong length", zipped(good)[:len(zipped(good))-1] + "\x01", "", 400, "Content-Encoding: gzip"},
		{"cut in the name in its header", zippedWith(t, 100, good)[:50], "", 400, "Content-Encoding: gzip"},
		{"cut before the name in its header", zippedWith(t, 100, good)[:10], "", 400, "Content-Encoding: gzip"},
		{"a long name in its header", zippedWith(t, 1<<20, good), "", 400, "Content-Encoding: gzip"},
		{"zlib", "\x78\x9c\x03\x00\x00\x00\x00\x01", "", 400, "Content-Encoding: gzip"},
		{"blocks with nothing in them, 15 MB", emptyBlocks(t, 3<<20), "", 400, "Content-Encoding: gzip"},

		{"many members", zipped(good[:30]) + strings.Repeat(zipped(""), 10_000) + zipped(good[30:]), good, 200, `"accepted":1`},
		{"a name in its header", zippedWith(t, 100, good), good, 200, `"accepted":1`},
		{"members with nothing in them", strings.Repeat(zipped(""), 1000), "", 200, `"accepted":0`},
		{"blanks", zippedBlanks(t, 8<<20), "", 200, `"accepted":0`},
	}
	for _, tt := range tests {
		for framing, text := range map[string]string{
			"": post("Content-Encoding: gzip\r\n", tt.body), ", in chunks": postChunked("Content-Encoding: gzip\r\n", tt.body),
		} {
			t.Run(tt.name+framing, func(t *testing.T) {
				s := besiege(t, Config{})
				got := s.attack(t, text, 64<<20)
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

// Packed nothing unpacks to nothing, so only what comes can be counted.
func TestPackedNothingWithoutEnd(t *testing.T) {
	s := besiege(t, Config{MaxBody: 1 << 20})
	for name, body := range map[string]string{"members": strings.Repeat(zipped(""), 100_000), "blocks": emptyBlocks(t, 500_000)} {
		got := s.attack(t, postChunked("Content-Encoding: gzip\r\n", body), 16<<20)
		require.Equal(t, []int{413}, statuses(got), name)
	}
}
