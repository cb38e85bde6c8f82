package pebble

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// A record's value is, after the seal that names its key, a header and the body that its events lie in:
//
//	version        1 byte
//	received at    varint, nanoseconds since 1970
//	events         uvarint, their number
//	  each         varint, distance from the end of the one before; uvarint, length
//	fates          uvarint, number of runs of events that are not pending from the start
//	  each         uvarint first, uvarint number, 1 byte fate
//	body           uvarint, length as it was; then the rest of the value, an s2 block
//
// The body is the request as it was received. Where duplicates were more than
// half of it, and where something was erased, it holds only the events that are
// left, one after the other. An erased event has a length of 0.
const recordVersion = 1

// maxBody bounds what a damaged header can make us allocate.
const maxBody = 1 << 30

// erased is the fate of an event whose bytes were removed. It is the store's
// own; an event with any fate but queue.Pending is never handed out.
const erased = queue.Fate(255)

// span is where an event lies in its record's body.
type span struct {
	start, end int
	fate       queue.Fate
}

// appendHeader encodes everything up to the body, which has the given length.
func appendHeader(dst []byte, received time.Time, spans []span, body int) []byte {
	dst = append(dst, recordVersion)
	dst = binary.AppendVarint(dst, received.UnixNano())
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	end, runs := 0, 0
	for i, s := range spans {
		dst = binary.AppendVarint(dst, int64(s.start-end))
		dst = binary.AppendUvarint(dst, uint64(s.end-s.start))
		end = s.end
		if s.fate != queue.Pending && (i == 0 || spans[i-1].fate != s.fate) {
			runs++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(runs))
	for i := 0; i < len(spans); {
		first, fate := i, spans[i].fate
		for i < len(spans) && spans[i].fate == fate {
			i++
		}
		if fate != queue.Pending {
			dst = binary.AppendUvarint(dst, uint64(first))
			dst = binary.AppendUvarint(dst, uint64(i-first))
			dst = append(dst, byte(fate))
		}
	}
	return binary.AppendUvarint(dst, uint64(body))
}

// header is a record's header as it was read.
type header struct {
	received time.Time
	spans    []span
	body     int    // length of the body
	packed   []byte // the body as stored, part of the value
}

// parseHeader reads a record's value; spans is memory that it may use.
func parseHeader(value []byte, spans []span) (header, error) {
	_, value = unseal(value)
	r := reader{data: value}
	if r.byte() != recordVersion {
		return header{}, fmt.Errorf("record: %w", errDamaged)
	}
	h := header{received: time.Unix(0, r.int()), spans: spans[:0]}
	n := r.length(len(value))
	end := 0
	for ; n > 0 && !r.bad; n-- {
		start := end + int(r.int())
		end = start + r.length(maxBody)
		h.spans = append(h.spans, span{start: start, end: end})
	}
	for runs := r.length(len(h.spans)); runs > 0 && !r.bad; runs-- {
		first := r.length(len(h.spans))
		last := first + r.length(len(h.spans)-first)
		fate := queue.Fate(r.byte())
		for i := first; i < last; i++ {
			h.spans[i].fate = fate
		}
	}
	h.body = r.length(maxBody)
	h.packed = r.data
	for _, s := range h.spans {
		if s.start < 0 || s.end < s.start || s.end > h.body {
			r.bad = true
		}
	}
	if r.err() != nil {
		return header{spans: h.spans}, fmt.Errorf("record: %w", errDamaged)
	}
	return h, nil
}

// receivedAt reads only the time from a record's value.
func receivedAt(value []byte) (time.Time, error) {
	_, value = unseal(value)
	r := reader{data: value}
	version, nanos := r.byte(), r.int()
	if r.bad || version != recordVersion {
		return time.Time{}, fmt.Errorf("record: %w", errDamaged)
	}
	return time.Unix(0, nanos), nil
}

// unpack returns the body, in dst's memory where that is large enough.
func (h header) unpack(dst []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(h.packed); err != nil || n != h.body {
		return dst, fmt.Errorf("record's body: %w", errDamaged)
	}
	body, err := s2.Decode(dst[:cap(dst)], h.packed)
	if err != nil {
		return dst, fmt.Errorf("record's body: %w: %w", errDamaged, err)
	}
	return body, nil
}
