package harness

import (
	"errors"
	"fmt"
	"os"

	"github.com/klauspost/compress/s2"
)

// archiveBlock is how many bytes of events are packed together.
const archiveBlock = 256 << 10

// archive keeps what was sent in a file, packed (a million events take about
// 200 MB), so that the books can stay small and a mismatch can still be
// explained. Its methods are called under the books' lock.
type archive struct {
	file   *os.File
	size   int64
	blocks []blockAt
	open   []byte // the block that is being filled
	packed []byte
}

type blockAt struct {
	offset int64
	length int
}

// newArchive makes the file; it must not exist.
func newArchive(path string) (*archive, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("archive of what is sent: %w", err)
	}
	return &archive{file: file}, nil
}

// Put stores an event: where it is, is its block and its place in the block.
func (a *archive) Put(event []byte) (uint64, error) {
	if len(a.open) > 0 && len(a.open)+len(event) > archiveBlock {
		if err := a.flush(); err != nil {
			return 0, err
		}
	}
	ref := uint64(len(a.blocks))<<32 | uint64(len(a.open))
	a.open = appendSized(a.open, event)
	return ref, nil
}

func (a *archive) flush() error {
	a.packed = s2.Encode(a.packed[:cap(a.packed)], a.open)
	if _, err := a.file.WriteAt(a.packed, a.size); err != nil {
		return fmt.Errorf("archive of what is sent: %w", err)
	}
	a.blocks = append(a.blocks, blockAt{a.size, len(a.packed)})
	a.size += int64(len(a.packed))
	a.open = a.open[:0]
	return nil
}

// Get returns a copy of a stored event.
func (a *archive) Get(ref uint64) ([]byte, error) {
	number, place := int(ref>>32), int(ref&(1<<32-1))
	block := a.open
	if number < len(a.blocks) {
		at := a.blocks[number]
		packed := make([]byte, at.length)
		if _, err := a.file.ReadAt(packed, at.offset); err != nil {
			return nil, fmt.Errorf("archive of what is sent: %w", err)
		}
		var err error
		if block, err = s2.Decode(nil, packed); err != nil {
			return nil, fmt.Errorf("archive of what is sent: %w", err)
		}
	}
	if number > len(a.blocks) || place+4 > len(block) {
		return nil, errors.New("archive of what is sent: no such event")
	}
	return sized(block[place:]), nil
}

func (a *archive) Close() error { return a.file.Close() }

// appendSized writes the length in four bytes, then the event.
func appendSized(dst, event []byte) []byte {
	n := uint32(len(event))
	dst = append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return append(dst, event...)
}

func sized(block []byte) []byte {
	n := int(uint32(block[0]) | uint32(block[1])<<8 | uint32(block[2])<<16 | uint32(block[3])<<24)
	return append([]byte(nil), block[4:4+n]...)
}
