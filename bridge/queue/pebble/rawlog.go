package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

// The format of logs: Pebble's record/record.go. A log is a row of blocks, and
// a block a row of chunks; a chunk is a record or a part of one. What a chunk of
// a log of commits says besides: the log's number, as the file may have been
// another log before, and up to where the log was on disk when it was written.
const (
	logBlock        = 32 << 10
	plainHeader     = 7  // checksum, length, kind
	numberedHeader  = 11 // and the log's number
	syncedHeader    = 19 // and up to where the log was synced
	chunkFull       = 1
	chunkFirst      = 2
	chunkMiddle     = 3
	chunkLast       = 4
	numberedChunks  = 4 // is added to these four where the number is there
	syncedChunks    = 8 // and where the other is there too
	lastChunkKind   = 12
	endMark         = numberedChunks + chunkFull // of length 0 and with the next log's number
	batchHeaderSize = batchrepr.HeaderLen
)

// logChunk is a chunk of a log.
type logChunk struct {
	part   int // chunkFull and so on
	data   []byte
	size   int    // with its header
	synced uint64 // up to where the log was on disk by then
}

// logState is what a log looks like.
type logState struct {
	closed bool     // it has its end mark
	holes  []Damage // that were on disk once: something after them says so, or the end mark
	tail   int64    // from here on nothing is known to have been on disk
	given  int64    // bytes that were written from there on
}

// logScanner walks over the chunks of a log or a manifest.
type logScanner struct {
	in       io.ReaderAt
	size     int64
	number   uint32
	numbered bool // a log of commits, unlike a manifest

	buf   []byte
	block int64 // where buf was read
	at    int   // in buf
}

func newLogScanner(in io.ReaderAt, size int64, number uint64, numbered bool) *logScanner {
	return &logScanner{in: in, size: size, number: uint32(number), numbered: numbered, block: -logBlock, buf: make([]byte, 0, logBlock)}
}

var (
	errLogEnd  = errors.New("end mark")
	errNoChunk = errors.New("no chunk")
)

// offset is where the next chunk begins.
func (s *logScanner) offset() int64 { return s.block + int64(s.at) }

// fill reads the next block; io.EOF: there is none.
func (s *logScanner) fill() error {
	s.block, s.at = s.block+logBlock, 0
	if s.block >= s.size {
		s.block, s.buf = s.size, s.buf[:0]
		return io.EOF
	}
	s.buf = s.buf[:min(logBlock, s.size-s.block)]
	_, err := s.in.ReadAt(s.buf, s.block)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// next returns the next chunk. errNoChunk: there is none here; resync goes on.
func (s *logScanner) next() (logChunk, error) {
	for {
		if s.block < 0 || s.at >= len(s.buf) || s.padding() {
			if err := s.fill(); err != nil {
				return logChunk{}, err
			}
			continue
		}
		c, err := s.chunk(s.at)
		if err == nil {
			s.at += c.size
		}
		return c, err
	}
}

// padding tells whether what is left of the block is too short for a chunk.
func (s *logScanner) padding() bool {
	left := s.buf[s.at:]
	if s.block+int64(len(s.buf)) == s.size && len(s.buf) < logBlock {
		return false // the file ends here, in the middle of a chunk
	}
	header := plainHeader
	if s.numbered {
		header = syncedHeader
	}
	return len(left) < header && zeros(left)
}

// resync looks for the next chunk after one that cannot be read.
func (s *logScanner) resync() error {
	for {
		for s.at++; s.at+plainHeader <= len(s.buf); s.at++ {
			if _, err := s.chunk(s.at); err == nil || errors.Is(err, errLogEnd) {
				return nil
			}
		}
		if err := s.fill(); err != nil {
			return err
		}
		if _, err := s.chunk(0); err == nil || errors.Is(err, errLogEnd) {
			return nil
		}
	}
}

// chunk reads the chunk at a place in the block.
func (s *logScanner) chunk(at int) (logChunk, error) {
	b := s.buf[at:]
	if len(b) < plainHeader {
		return logChunk{}, errNoChunk
	}
	sum, length, kind := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint16(b[4:])), int(b[6])
	if kind == 0 || kind > lastChunkKind {
		return logChunk{}, errNoChunk
	}
	c := logChunk{part: (kind-1)%4 + 1}
	header := [...]int{plainHeader, numberedHeader, syncedHeader}[(kind-1)/4]
	if s.numbered != (header > plainHeader) || len(b) < header {
		return logChunk{}, errNoChunk
	}
	if s.numbered {
		number := binary.LittleEndian.Uint32(b[plainHeader:])
		if number == s.number+1 && kind == endMark && length == 0 && sum == 0 {
			return logChunk{}, errLogEnd
		}
		if number != s.number {
			return logChunk{}, errNoChunk
		}
	}
	c.size = header + length
	if c.size > len(b) {
		return logChunk{}, errNoChunk
	}
	// The checksum is over everything after itself and the length.
	rest := b[6:c.size]
	checksummer := block.Checksummer{Type: block.ChecksumTypeCRC32c}
	if checksummer.Checksum(rest[:len(rest)-1], rest[len(rest)-1]) != sum {
		return logChunk{}, errNoChunk
	}
	if header == syncedHeader {
		c.synced = binary.LittleEndian.Uint64(b[numberedHeader:])
	}
	c.data = b[header:c.size]
	return c, nil
}

func zeros(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
}

// logWalk is what a walk over the records of a log has found.
type logWalk struct {
	gaps   []Damage // where things go wrong, in order
	closed bool     // the end mark was found
	synced uint64   // up to where the log says that it was on disk

	record []byte // as far as it was read
	start  int64  // where it begins
	inside bool   // its end is still to come
}

// records walks over the records of a log and gives each to visit with where it
// begins; its bytes are valid during the call.
func (s *logScanner) records(visit func(offset int64, data []byte) error) (logWalk, error) {
	var w logWalk
	for {
		c, err := s.next()
		if err == nil {
			if w.add(c, s.offset()) {
				if err := visit(w.start, w.record); err != nil {
					return w, err
				}
				w.record = w.record[:0]
			}
			continue
		}
		if done, err := w.stumble(s, err); done || err != nil {
			return w, err
		}
	}
}

// add takes the next chunk, which ends at end; true: the record is whole.
func (w *logWalk) add(c logChunk, end int64) bool {
	at := end - int64(c.size)
	w.synced = max(w.synced, c.synced)
	first := c.part == chunkFull || c.part == chunkFirst
	switch {
	case first && w.inside:
		w.gap(w.start, at, "a record without its end")
	case !first && !w.inside:
		// The rest of a record whose beginning was lost: part of the gap before.
		if n := len(w.gaps); n > 0 {
			w.gaps[n-1].Bytes = end - w.gaps[n-1].Offset
		} else {
			w.gap(at, end, "a record without its beginning")
		}
		return false
	}
	if first {
		w.start = at
	}
	w.record = append(w.record, c.data...)
	w.inside = c.part == chunkFirst || c.part == chunkMiddle
	return !w.inside
}

// stumble deals with what is no chunk; true: the log ends there.
func (w *logWalk) stumble(s *logScanner, err error) (bool, error) {
	from := w.start
	switch {
	case errors.Is(err, errLogEnd), errors.Is(err, io.EOF):
		w.closed = errors.Is(err, errLogEnd)
		if w.inside {
			w.gap(from, min(s.offset(), s.size), "a record without its end")
		}
		return true, nil
	case !errors.Is(err, errNoChunk):
		return false, err
	}
	if !w.inside {
		from = s.offset()
	}
	if err := s.resync(); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	w.gap(from, min(s.offset(), s.size), "checksum does not match, or there is no record")
	return false, nil
}

func (w *logWalk) gap(from, to int64, problem string) {
	w.gaps = append(w.gaps, Damage{Offset: from, Bytes: to - from, Problem: problem})
	w.record, w.inside = w.record[:0], false
}

// inspectLog looks at a log of commits or, where number is 0, at a manifest. A
// crash leaves the end of a log torn; anything before what the log itself says
// was on disk is damage. So is anything before the end mark, once a later log
// was begun: Pebble syncs the end mark with all before it, and then begins the
// next. Of the newest log, a power cut may have left the end mark alone.
func inspectLog(in io.ReaderAt, size int64, number uint64, newest bool) (logState, error) {
	s := newLogScanner(in, size, number, number > 0)
	var end int64
	w, err := s.records(func(int64, []byte) error {
		end = s.offset()
		return nil
	})
	if err != nil {
		return logState{}, err
	}
	st := logState{closed: w.closed, tail: size}
	if number == 0 {
		w.synced = uint64(end) // each record of a manifest is synced before the next
	}
	for _, g := range w.gaps {
		if w.closed && !newest || uint64(g.Offset) < w.synced {
			st.holes = append(st.holes, g)
			continue
		}
		st.tail, st.closed = g.Offset, false
		st.given, err = tornBytes(in, g.Offset, size, number)
		return st, err
	}
	return st, nil
}

// tornBytes returns how many bytes from an offset on are not zero and not left
// from an older log in the same file.
func tornBytes(in io.ReaderAt, from, size int64, number uint64) (int64, error) {
	s := newLogScanner(in, size, number, number > 0)
	s.block = from/logBlock*logBlock - logBlock
	last := from
	for {
		err := s.fill()
		if errors.Is(err, io.EOF) {
			return last - from, nil
		}
		if err != nil {
			return 0, err
		}
		for i := len(s.buf) - 1; i >= 0 && s.block+int64(i) >= last; i-- {
			if s.buf[i] != 0 {
				if older(s.buf, number) {
					return last - from, nil
				}
				last = s.block + int64(i) + 1
				break
			}
		}
	}
}

// older tells whether a block begins with a chunk of another log.
func older(b []byte, number uint64) bool {
	if number == 0 || len(b) < numberedHeader {
		return false
	}
	kind := b[6]
	n := binary.LittleEndian.Uint32(b[plainHeader:])
	return kind > numberedChunks && kind <= lastChunkKind && n != 0 && n < uint32(number)
}

// log reads a log of commits up to where it is not known to have been on disk.
func (r *rawReader) log(ctx context.Context, f rawFile, file io.ReaderAt) error {
	st, err := inspectLog(file, f.size, f.number, f.name == r.newest)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	if err := r.pace(ctx, int(f.size)); err != nil {
		return err
	}
	for _, h := range st.holes {
		h.File = f.name
		r.damage(h)
	}
	if !st.closed && r.torn != nil {
		r.torn(Damage{File: f.name, Offset: st.tail, Bytes: st.given, Problem: "the log was not closed, as after a crash, and ends here"})
	}
	s := newLogScanner(file, f.size, f.number, true)
	_, err = s.records(func(offset int64, data []byte) error {
		if offset >= st.tail {
			return nil
		}
		if err := guard(func() error { return r.batch(data) }); err != nil {
			return r.note(Damage{File: f.name, Offset: offset, Bytes: int64(len(data))}, err)
		}
		return nil
	})
	return err
}

// batch passes on the changes of one commit.
func (r *rawReader) batch(data []byte) error {
	if len(data) < batchHeaderSize {
		return errors.New("commit is too short")
	}
	seq := uint64(batchrepr.ReadSeqNum(data))
	changes := batchrepr.Read(data)
	for {
		kind, key, value, ok, err := changes.Next()
		if err != nil || !ok {
			return err
		}
		if kind == pebble.InternalKeyKindLogData {
			continue // it is never stored and has no number
		}
		if err := r.entry(rawEntry{kind: kind, key: key, value: value, seq: seq}); err != nil {
			return stop{err}
		}
		seq++
	}
}
