package pebble

import "encoding/binary"

// Every key is one byte that says what it is, then for what belongs to a
// connector its number (32 bits), then a number that counts up (64 bits), both
// big-endian. Each kind is one run of keys in the order in which they came.
const (
	keyDead    = 'd' // + connector + number: a dead letter
	keyGone    = 'g' // + connector: up to where history was given up
	keyMark    = 'h' // + connector + seq: a place in history that it can be cut at
	keyIDs     = 'i' // + connector + seq: the hashes of a record's event ids, 16 bytes each
	keyMeta    = 'm' // + name: what is the store's own
	keyName    = 'n' // + connector's name: its number
	keyMissed  = 'o' // + connector + seq: of a done record, the bits of the events not delivered
	keyPartial = 'p' // + connector + seq: the outcomes of a record that has some
	keyRecord  = 'r' // + connector + seq: a record
	keyState   = 's' // + connector: totals
	keyReplay  = 'y' // + connector: the newest replay of history
)

// A partial value is a set of bits, one for each event of the record, of those
// that have an outcome; after it comes one of the same size, of those among
// them that were not delivered, where there are any. Versions that knew no
// second set read the first alone. A missed value is a set of the second kind;
// there is none where all was delivered. Records that were done before there
// were missed values look as if all of theirs was delivered.
const (
	metaFormat = "format" // number of the layout that this file describes
	metaStore  = "store"  // 16 random bytes that name the store for ever
	metaLast   = "last"   // number of the newest connector

	// layout is raised by a change that an older bridge must not touch.
	layout = 1
)

func metaKey(name string) []byte { return append([]byte{keyMeta}, name...) }

func nameKey(name string) []byte { return append([]byte{keyName}, name...) }

// connKey is the key of something that a connector has one of.
func connKey(kind byte, conn uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, conn)
}

const (
	connKeyLen = 5
	seqKeyLen  = 13
)

// seqKey is the key of one of many things of a connector.
func seqKey(kind byte, conn uint32, seq uint64) []byte {
	return appendSeqKey(make([]byte, 0, seqKeyLen), kind, conn, seq)
}

func appendSeqKey(dst []byte, kind byte, conn uint32, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, kind), conn)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// seqOf takes the last number out of a key made by seqKey.
func seqOf(key []byte) (uint64, bool) {
	if len(key) != seqKeyLen {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[seqKeyLen-8:]), true
}
