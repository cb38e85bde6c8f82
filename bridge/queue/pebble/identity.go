package pebble

import (
	"bytes"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/wire"
)

// Records and dead letters lie in blob files, apart from their keys. So that
// what is in such a file can be told without any other, each begins with its
// own key: sealed, the key, then the value itself. Values of the first versions
// do not have that.
const (
	sealed     = 2
	sealLength = 1 + seqKeyLen
)

// appendSeal begins a value that will be stored under key.
func appendSeal(dst, key []byte) []byte {
	return append(append(dst, sealed), key...)
}

// unseal takes a value apart; the key is nil where it was not written down.
func unseal(value []byte) (key, rest []byte) {
	if len(value) < sealLength || value[0] != sealed {
		return nil, value
	}
	return value[1:sealLength], value[sealLength:]
}

// checkSeal tells a value that lies under another key than its own.
func checkSeal(key, value []byte) error {
	if owner, _ := unseal(value); owner != nil && !bytes.Equal(owner, key) {
		return fmt.Errorf("another value is in its place: %w", wire.ErrDamaged)
	}
	return nil
}
