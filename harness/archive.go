package harness

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/klauspost/compress/s2"
)

// archive keeps what was sent in a file, compressed event by event, so that the
// books can stay small and a mismatch can still be explained. Its methods are
// called under the books' lock.
type archive struct {
	file   *os.File
	size   int64
	buffer []byte
}

// newArchive makes the file; it must not exist.
func newArchive(path string) (*archive, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("archive of what is sent: %w", err)
	}
	return &archive{file: file}, nil
}

// Put stores an event behind its length and returns where it is.
func (a *archive) Put(event []byte) (uint64, error) {
	ref := uint64(a.size)
	need := 4 + s2.MaxEncodedLen(len(event))
	if cap(a.buffer) < need {
		a.buffer = make([]byte, need)
	}
	packed := s2.Encode(a.buffer[4:need], event)
	record := a.buffer[:4+len(packed)]
	binary.LittleEndian.PutUint32(record, uint32(len(packed)))
	if _, err := a.file.WriteAt(record, a.size); err != nil {
		return 0, fmt.Errorf("archive of what is sent: %w", err)
	}
	a.size += int64(len(record))
	return ref, nil
}

// Get returns a copy of a stored event.
func (a *archive) Get(ref uint64) ([]byte, error) {
	var length [4]byte
	_, err := a.file.ReadAt(length[:], int64(ref))
	if err == nil {
		packed := make([]byte, binary.LittleEndian.Uint32(length[:]))
		if _, err = a.file.ReadAt(packed, int64(ref)+4); err == nil {
			return s2.Decode(nil, packed)
		}
	}
	return nil, fmt.Errorf("archive of what is sent: %w", err)
}

func (a *archive) Close() error { return a.file.Close() }
