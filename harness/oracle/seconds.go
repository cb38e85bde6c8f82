package oracle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// lastSecond is the last second that a JavaScript Date can hold, either side of 1970.
const lastSecond = 8.64e12

// Timestamp says what RudderStack's Braze source makes of an event's time:
// JavaScript's parseInt(time, 10) as seconds since the epoch, in ISO 8601.
// There is none for a falsy time. invalid is true where RudderStack would write
// the text "Invalid date"; a message had better have no timestamp then.
func Timestamp(v any) (text string, invalid bool) {
	if falsy(v) {
		return "", false
	}
	seconds, ok := parseInt(javaScriptText(v))
	if !ok || seconds > lastSecond || seconds < -lastSecond {
		return "", true
	}
	t := time.Unix(int64(seconds), 0).UTC()
	year, sign := t.Year(), ""
	if year < 0 {
		year, sign = -year, "-"
	}
	return fmt.Sprintf("%s%04d%s", sign, year, t.Format("-01-02T15:04:05.000Z")), false
}

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

// parseInt is JavaScript's parseInt(text, 10).
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
