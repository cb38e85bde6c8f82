package mapping

import "github.com/currentsbridge/currentsbridge/bridge/drift"

// WithDrift returns a Mapper made with a watch as one with another watch, or
// with none where w is nil.
func WithDrift(m *Mapper, w *drift.Watch) *Mapper {
	other := *m
	other.drift = w
	if w == nil {
		other.shapes = nil
	}
	return &other
}
