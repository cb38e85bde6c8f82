package pebble

import (
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// parseHeader reads a record's value, which is a record of package wire after
// the seal that names its key; spans is memory that it may use. The body is the
// request as it was received, or, where duplicates were more than half of it and
// where something was erased, only the events that are left.
func parseHeader(value []byte, spans []wire.Span) (wire.Header, error) {
	_, value = unseal(value)
	return wire.ParseHeader(value, spans)
}

// receivedAt reads only the time from a record's value.
func receivedAt(value []byte) (time.Time, error) {
	_, value = unseal(value)
	return wire.ReceivedAt(value)
}
