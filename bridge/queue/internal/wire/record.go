package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// A record is a header and the body that its events lie in:
//
//	version        1 byte
//	received at    varint, nanoseconds since 1970
//	events         uvarint, their number
//	  each         varint, distance from the end of the one before; uvarint, length
//	fates          uvarint, number of runs of events that are not pending from the start
//	  each         uvarint first, uvarint number, 1 byte fate
//	body           uvarint, length as it was; then the rest of the value, an s2 block
//
// The body is the request as it was received, or only the events that are left
// of it, one after the other. An erased event has a length of 0.
const recordVersion = 1

// MaxBody bounds what a damaged header can make us allocate.
const MaxBody = 1 << 30

// CheckBatch refuses a batch whose items do not lie in its body, or whose body no
// record can hold.
func CheckBatch(b queue.Batch) error {
	if len(b.Body) > MaxBody {
		return fmt.Errorf("body of %d bytes: the limit is %d", len(b.Body), MaxBody)
	}
	for i, it := range b.Items {
		if it.Start < 0 || it.End < it.Start || it.End > len(b.Body) {
			return fmt.Errorf("item %d: [%d:%d] is not in the body of %d bytes", i, it.Start, it.End, len(b.Body))
		}
	}
	return nil
}

// Erased is the fate of an event whose bytes were removed. It is the stores'
// own; an event with any fate but queue.Pending is never handed out.
const Erased = queue.Fate(255)

// Span is where an event lies in its record's body.
type Span struct {
	Start, End int
	Fate       queue.Fate
}

// AppendHeader encodes everything up to the body, which has the given length.
func AppendHeader(dst []byte, received time.Time, spans []Span, body int) []byte {
	dst = append(dst, recordVersion)
	dst = binary.AppendVarint(dst, received.UnixNano())
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	end, runs := 0, 0
	for i, s := range spans {
		dst = binary.AppendVarint(dst, int64(s.Start-end))
		dst = binary.AppendUvarint(dst, uint64(s.End-s.Start))
		end = s.End
		if s.Fate != queue.Pending && (i == 0 || spans[i-1].Fate != s.Fate) {
			runs++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(runs))
	for i := 0; i < len(spans); {
		first, fate := i, spans[i].Fate
		for i < len(spans) && spans[i].Fate == fate {
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

// Header is a record's header as it was read.
type Header struct {
	Received time.Time
	Spans    []Span
	Body     int    // length of the body
	Packed   []byte // the body as stored, part of the value
}

// ParseHeader reads a record; spans is memory that it may use. It fails with ErrDamaged.
func ParseHeader(value []byte, spans []Span) (Header, error) {
	r := Reader{Data: value}
	if r.Byte() != recordVersion {
		return Header{}, fmt.Errorf("record: %w", ErrDamaged)
	}
	h := Header{Received: time.Unix(0, r.Int()), Spans: spans[:0]}
	n := r.Length(len(value))
	end := 0
	for ; n > 0 && !r.Bad; n-- {
		start := end + int(r.Int())
		end = start + r.Length(MaxBody)
		h.Spans = append(h.Spans, Span{Start: start, End: end})
	}
	for runs := r.Length(len(h.Spans)); runs > 0 && !r.Bad; runs-- {
		first := r.Length(len(h.Spans))
		last := first + r.Length(len(h.Spans)-first)
		fate := queue.Fate(r.Byte())
		for i := first; i < last; i++ {
			h.Spans[i].Fate = fate
		}
	}
	h.Body = r.Length(MaxBody)
	h.Packed = r.Data
	for _, s := range h.Spans {
		if s.Start < 0 || s.End < s.Start || s.End > h.Body {
			r.Bad = true
		}
	}
	if r.Bad {
		return Header{Spans: h.Spans}, fmt.Errorf("record: %w", ErrDamaged)
	}
	return h, nil
}

// ReceivedAt reads only the time of a record. It fails with ErrDamaged.
func ReceivedAt(value []byte) (time.Time, error) {
	r := Reader{Data: value}
	version, nanos := r.Byte(), r.Int()
	if r.Bad || version != recordVersion {
		return time.Time{}, fmt.Errorf("record: %w", ErrDamaged)
	}
	return time.Unix(0, nanos), nil
}

// Unpack returns the body, in dst's memory where that is large enough.
func (h Header) Unpack(dst []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(h.Packed); err != nil || n != h.Body {
		return dst, fmt.Errorf("record's body: %w", ErrDamaged)
	}
	body, err := s2.Decode(dst[:cap(dst)], h.Packed)
	if err != nil {
		return dst, fmt.Errorf("record's body: %w: %w", ErrDamaged, err)
	}
	return body, nil
}

// Without encodes the record anew: its body is that of the events that are not
// erased, one after the other, and nothing else.
func (h Header) Without(dst, body []byte) []byte {
	var kept []byte
	spans := make([]Span, len(h.Spans))
	for i, s := range h.Spans {
		start := len(kept)
		if s.Fate != Erased {
			kept = append(kept, body[s.Start:s.End]...)
		}
		spans[i] = Span{Start: start, End: len(kept), Fate: s.Fate}
	}
	return append(AppendHeader(dst, h.Received, spans, len(kept)), s2.Encode(nil, kept)...)
}

// Strays tells whether the body holds more than the events of the record and
// what is between them in a batch without others: then it may hold duplicates,
// whose bytes no event points to. An event that has an id cannot hide in less.
func (h Header) Strays(body []byte) bool {
	const frame = len(`{"events":[]}`)
	n, at := 0, 0
	count := func(gap []byte) {
		n += len(gap)
		for _, c := range []byte{' ', '\n', '\r', '\t', ','} {
			n -= bytes.Count(gap, []byte{c})
		}
	}
	for _, s := range h.Spans {
		if s.Start > at {
			count(body[at:s.Start])
		}
		at = max(at, s.End)
	}
	count(body[at:])
	return n > frame
}
