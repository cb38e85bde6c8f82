package mockrudder

import (
	"fmt"
	"io"
	"sync"
)

// recorder writes every message that is stored, a line each.
type recorder struct {
	mu  sync.Mutex // also keeps the lines in the order of the store
	w   io.Writer
	buf []byte
	err error
}

// write writes the messages of a request at once. After an error nothing more
// is written, so that what is there has no gap.
func (r *recorder) write(events []Event) {
	if r.err != nil {
		return
	}
	r.buf = r.buf[:0]
	for i := range events {
		r.buf = append(events[i].appendJSON(r.buf, nil), '\n')
	}
	if _, err := r.w.Write(r.buf); err != nil {
		r.err = fmt.Errorf("mockrudder: recording ended: %w", err)
	}
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
}
