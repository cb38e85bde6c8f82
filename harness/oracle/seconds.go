package oracle

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// lastSecond is the last second that a JavaScript Date can hold, either side of 1970.
const lastSecond = 8.64e12

// yearTenThousand in seconds since 1970. A number from there on is taken for
// milliseconds in events mode.
const yearTenThousand = 253402300800

// Timestamp says what the bridge makes of an event's time in events mode:
// JavaScript's parseInt(time, 10) as seconds since the epoch, in ISO 8601, as
// RudderStack's Braze source does, but that milliseconds are recognized by their size,
// that text which begins with a date is one, or none, and that there is none
// where that source writes "Invalid date". differs is true where it writes
// something else. There is none for a falsy time.
func Timestamp(v any) (text string, differs bool) {
	if falsy(v) {
		return "", false
	}
	if s, ok := v.(string); ok {
		if s = strings.TrimSpace(s); isDate.MatchString(s) {
			for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700"} {
				if t, err := time.Parse(layout, timeMark.ReplaceAllString(s, "${1}T")); err == nil {
					return iso(t), true
				}
			}
			return "", true
		}
	}
	n, ok := parseInt(javaScriptText(v))
	switch abs := max(n, -n); {
	case !ok || abs > lastSecond*1000:
		return "", true
	case abs < yearTenThousand:
		return iso(time.Unix(int64(n), 0)), false
	}
	return iso(time.UnixMilli(int64(n))), true
}

var (
	isDate   = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}`)
	timeMark = regexp.MustCompile(`^(.{10})[t ]`)
)

func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// falsy is JavaScript's notion; a missing value is nil here.
func falsy(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	}
	return false
}

// javaScriptText is JavaScript's String(v), as far as parseInt looks at it.
func javaScriptText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		f, _ := v.Float64() // beyond the range: an infinity, which parses to nothing
		if abs := max(f, -f); abs >= 1e21 || abs < 1e-6 {
			return strconv.FormatFloat(f, 'e', -1, 64)
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			if item != nil {
				parts[i] = javaScriptText(item)
			}
		}
		return strings.Join(parts, ",")
	case bool:
		return strconv.FormatBool(v)
	}
	return "[object Object]"
}

func parseInt(text string) (float64, bool) {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' })
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return 0, false
	}
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, false
	}
	value, _ := strconv.ParseFloat(digits[:end], 64) // only the range can fail, and gives an infinity
	if text[0] == '-' {
		value = -value
	}
	return value, true
}
