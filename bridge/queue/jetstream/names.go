package jetstream

import (
	"fmt"
	"strconv"
	"strings"
)

// Streams and subjects. Each connector has one stream, PREFIX_NAME, and in it:
//
//	PREFIX.NAME.rec        a batch, and a dead letter that was moved back
//	PREFIX.NAME.rec.SEQ    what an erasure left of batch SEQ, which is pending in part
//	PREFIX.NAME.old.SEQ    what an erasure left of batch SEQ, which is history
//	PREFIX.NAME.dead.N     dead letter N, and after it what became of it
//	PREFIX.NAME.log        outcomes, counts, orders to replay: what is folded into the totals
//	PREFIX.NAME.ck         the totals up to a place in the stream
//	PREFIX.NAME.seg        what history has to know of batches beside themselves
//
// They are one stream because only within a stream are several messages stored
// together or not at all, and in one order for all bridges.
type names struct {
	stream, base string
}

const (
	wordRecord  = "rec"
	wordOld     = "old"
	wordDead    = "dead"
	wordLog     = "log"
	wordTotals  = "ck"
	wordSegment = "seg"
	// consumerName is the durable consumer that all bridges pull from.
	consumerName = "bridges"
)

func namesOf(prefix, connector string) names {
	token := escape(connector)
	return names{stream: prefix + "_" + token, base: prefix + "." + token + "."}
}

func (n names) all() string                  { return n.base + ">" }
func (n names) of(word string) string        { return n.base + word }
func (n names) below(word string) string     { return n.base + word + ".>" }
func (n names) at(w string, i uint64) string { return n.base + w + "." + strconv.FormatUint(i, 10) }

// escape makes a token of a name: what is no letter, digit or - is written as
// = and two hexadecimal digits. It is never empty and has no _ in it, so that
// the name of a stream can be taken apart again.
func escape(name string) string {
	if name == "" {
		return "="
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		if c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// unescape is the reverse of escape; false: escape did not make it.
func unescape(token string) (string, bool) {
	if token == "=" {
		return "", true
	}
	var b []byte
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b = append(b, token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", false
		}
		v, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b, i = append(b, byte(v)), i+2
	}
	return string(b), escape(string(b)) == token
}

// connectorOf returns the connector whose stream it is; false: it is no
// connector's of this prefix.
func connectorOf(prefix, stream string) (string, bool) {
	token, ok := strings.CutPrefix(stream, prefix+"_")
	if !ok || strings.Contains(token, "_") {
		return "", false
	}
	return unescape(token)
}
