package pebble

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// formatMarker begins the name of the file in whose name Pebble keeps the
// version of its own format: marker.format-version.NUMBER.VERSION.
const formatMarker = "marker.format-version."

// checkFormat refuses a directory in a format of Pebble that this version does
// not know. Pebble refuses it too, but in words that cannot be told apart.
func checkFormat(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, formatMarker)
		if !ok {
			continue
		}
		_, version, _ := strings.Cut(rest, ".")
		v, err := strconv.ParseUint(version, 10, 32)
		if err == nil && v > uint64(pebble.FormatNewest) {
			return fmt.Errorf("%s: %w: storage format %d, known is %d", dir, queue.ErrNewerFormat, v, pebble.FormatNewest)
		}
	}
	return nil
}
