package bridge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseSize reads a number of bytes: "16MiB", "20GB", "4000000".
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	unit := strings.ToLower(strings.TrimSpace(text[len(digits):]))
	factor, ok := sizeUnit(unit)
	number, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(number >= 0) || number*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("must be a size such as 16MiB or 20GB, not %q", text)
	}
	return int64(number * factor), nil
}

func sizeUnit(unit string) (float64, bool) {
	switch unit {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "tb":
		return 1e12, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	case "tib":
		return 1 << 40, true
	}
	return 0, false
}

// formatSize writes a number of bytes the way parseSize reads it.
func formatSize(n int64) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return strconv.FormatInt(n>>30, 10) + "GiB"
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10)
}

// parseDuration reads Go's notation ("30s", "72h", "1h30m") and whole days ("7d").
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("must be a duration such as 30s, 72h or 7d, not %q", text)
	}
	return d, nil
}
