package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

// checkLog reads the log (WAL) of the embedded store before SQLite does, by the
// format in https://sqlite.org/fileformat2.html#walformat: SQLite drops
// everything behind a frame that does not match its checksum, and does not report
// it. The log's
// frames of one generation carry the salts of its header. Each transaction was
// synced before the next one was written; so a frame that does not match and is
// followed, past the next commit frame, by a frame of the same generation is
// damage. One in the last transaction is what a crash leaves.
func (s *DB) checkLog() error {
	if s.VFS != "" {
		return nil // tests whose files are in memory
	}
	name := s.path(databaseFile + "-wal")
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err = scanLog(bufio.NewReaderSize(f, 1<<20)); err == nil {
		return nil
	}
	if s.DropDamagedLog {
		s.Warn("the log is damaged; what is behind the damage is dropped, as the option asks for", "file", name, "error", err)
		return nil
	}
	return fmt.Errorf("%w: %s: %w; acknowledged events behind it cannot be read; keep a copy of the file and start with --queue-drop-damaged-log to go on without them", sqldb.ErrDamaged, name, err)
}

// scanLog returns an error where a log is damaged. What is cut short or unfinished
// at its end is not.
func scanLog(r io.Reader) error {
	header := make([]byte, 32)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil // no log, or one that was never finished
	}
	magic, size := binary.BigEndian.Uint32(header), int(binary.BigEndian.Uint32(header[8:]))
	order := binary.ByteOrder(binary.LittleEndian)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	sum := logSum(order, [2]uint32{}, header[:24])
	whole := magic&^1 == 0x377f0682 && sum == [2]uint32{binary.BigEndian.Uint32(header[24:]), binary.BigEndian.Uint32(header[28:])}
	if !whole {
		if n, _ := io.CopyN(io.Discard, r, 24); n == 24 { // a frame follows, so the header was synced
			return errors.New("its header does not match its checksum")
		}
		return nil
	}
	salts := string(header[16:24])
	frame := make([]byte, 24+size)
	bad, commits, valid := 0, 0, true // the first bad frame; commit frames from there on
	for n := 1; ; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return nil
		}
		same := string(frame[8:16]) == salts
		if valid {
			next := logSum(order, logSum(order, sum, frame[:8]), frame[24:])
			if valid = same && next == [2]uint32{binary.BigEndian.Uint32(frame[16:]), binary.BigEndian.Uint32(frame[20:])}; valid {
				sum = next
				continue
			}
			bad = n
		} else if same && commits > 0 {
			return fmt.Errorf("frame %d does not match its checksum, and transactions follow it", bad)
		}
		if binary.BigEndian.Uint32(frame[4:]) != 0 && (same || n == bad) {
			commits++
		}
	}
}

// logSum continues the running checksum of a log.
func logSum(order binary.ByteOrder, s [2]uint32, data []byte) [2]uint32 {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}
