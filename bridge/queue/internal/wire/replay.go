package wire

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Replay is a replay of history as it is stored.
type Replay struct {
	queue.Replay
	End uint64 // records from here on came after the order
}

// Copy returns the replay for a caller, who may change it.
func (r Replay) Copy() queue.Replay {
	out := r.Replay
	out.Order.Types = slices.Clone(out.Order.Types)
	return out
}

// Append encodes the replay.
func (r Replay) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, r.Number)
	for _, at := range [...]time.Time{r.Order.From, r.Order.Till, r.StartedAt, r.EndedAt} {
		dst = AppendTime(dst, at)
	}
	dst = binary.AppendUvarint(dst, math.Float64bits(r.Order.Rate))
	for _, v := range [...]uint64{r.Next, r.End, r.Replayed, r.Refused, r.Skipped, uint64(len(r.Order.Types))} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, pattern := range r.Order.Types {
		dst = AppendBytes(dst, []byte(pattern))
	}
	return dst
}

// Replay reads what Replay.Append wrote.
func (r *Reader) Replay() Replay {
	out := Replay{Replay: queue.Replay{Number: r.Uint()}}
	for _, at := range [...]*time.Time{&out.Order.From, &out.Order.Till, &out.StartedAt, &out.EndedAt} {
		*at = r.Time()
	}
	out.Order.Rate = math.Float64frombits(r.Uint())
	for _, v := range [...]*uint64{&out.Next, &out.End, &out.Replayed, &out.Refused, &out.Skipped} {
		*v = r.Uint()
	}
	for types := r.Length(len(r.Data)); types > 0 && !r.Bad; types-- {
		out.Order.Types = append(out.Order.Types, string(r.Bytes()))
	}
	return out
}
