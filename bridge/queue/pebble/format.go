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
	if err := checkMarkers(dir, names); err != nil {
		return err
	}
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, formatMarker)
		if !ok {
			continue
		}
		_, version, _ := strings.Cut(rest, ".")
		v, err := strconv.ParseUint(version, 10, 32)
		if err != nil {
			return &damagedFile{Damage{File: name, Problem: "the storage format in its name is no number"}, dir}
		}
		if v > uint64(pebble.FormatNewest) {
			return fmt.Errorf("%s: %w: storage format %d, known is %d", dir, queue.ErrNewerFormat, v, pebble.FormatNewest)
		}
	}
	return nil
}

// manifestMarker begins the name of the file in whose name Pebble keeps the
// name of its manifest.
const manifestMarker = "marker.manifest."

// checkMarkers refuses a directory with data and without the marker of the
// manifest, which Pebble would take for an empty one and clear. It looks after
// the other marker itself.
func checkMarkers(dir string, names []string) error {
	marked, data, logs, tables := false, false, false, false
	for _, name := range names {
		if name == repairPlan {
			return fmt.Errorf("%s: %w: a repair was interrupted; run it again: bridge repair --data-dir %s", dir, queue.ErrDamaged, dir)
		}
		marked = marked || strings.HasPrefix(name, manifestMarker)
		f, isData := parseName(name)
		data = data || isData
		logs = logs || isData && f.kind == logFile
		tables = tables || isData && f.kind == tableFile
	}
	if data && !marked {
		return &damagedFile{Damage{File: manifestMarker + "*", Problem: "it is not there, but data is"}, dir}
	}
	if tables && !logs {
		return &damagedFile{Damage{File: "*.log", Problem: "there is no log, but a store that was ever open has one"}, dir}
	}
	return nil
}
