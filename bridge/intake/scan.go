package intake

import (
	"bytes"
	"errors"
	"runtime"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// scanners bounds how many bodies are scanned at once, and with it the memory
// that scanning takes: there is one for each processor, as scanning is all
// computation. Large bodies and those of very many events have a few scanners of
// their own, so that usual ones do not wait behind them and the memory for all
// those events is bounded however many processors there are.
type scanners struct{ usual, large chan *scanner }

const largeScanners = 2

func newScanners(maxEvents int) scanners {
	fill := func(n, limit int) chan *scanner {
		idle := make(chan *scanner, n)
		for range n {
			idle <- &scanner{batch: currents.Batch{Limit: limit}}
		}
		return idle
	}
	n := runtime.GOMAXPROCS(0)
	return scanners{usual: fill(n, min(maxEvents, keptEvents)), large: fill(min(n, largeScanners), maxEvents)}
}

// scan scans a body and calls found with the scanner that holds its events, until
// found returns. The errors are those of currents.Batch.Scan.
func (s scanners) scan(body []byte, found func(*scanner)) error {
	if len(body) <= largestSmall {
		err := scanWith(s.usual, body, found)
		if !errors.Is(err, currents.ErrTooManyEvents) {
			return err
		}
	}
	return scanWith(s.large, body, found)
}

func scanWith(idle chan *scanner, body []byte, found func(*scanner)) error {
	s := <-idle
	defer func() {
		s.trim()
		idle <- s
	}()
	if err := s.batch.Scan(body); err != nil {
		return err
	}
	found(s)
	return nil
}

type scanner struct {
	batch currents.Batch
	id    []byte
	// Of the last event's type: most batches have one type. rawType is nil at first.
	rawType, typeText []byte
	typeHash          queue.TypeHash
}

func (s *scanner) setType(raw []byte) {
	if s.rawType != nil && bytes.Equal(s.rawType, raw) {
		return
	}
	s.rawType = append(s.rawType[:0], raw...)
	text, ok := currents.AppendText(s.typeText[:0], raw)
	if !ok {
		text = append(text, raw...)
	}
	s.typeText, s.typeHash = text, queue.HashType(text)
}

// hash returns the hash of an event's id and of the type that was set, zero where
// the id is not usable.
func (s *scanner) hash(rawID []byte) queue.Hash {
	id, ok := currents.AppendID(s.id[:0], rawID)
	s.id = id
	if !ok {
		return queue.Hash{}
	}
	return s.typeHash.Event(id)
}

func (s *scanner) trim() {
	if cap(s.batch.Events) > keptEvents {
		s.batch.Reset()
	}
	if cap(s.id)+cap(s.rawType) > keptEvents {
		s.id, s.rawType, s.typeText = nil, nil, nil
	}
}
