package gateway

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// Clean removes invisible characters from an id, and then the space around it, as
// RudderStack does before it checks an id.
func Clean(id string) string {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return strings.TrimSpace(strings.Map(func(r rune) rune {
				if visible(r) {
					return r
				}
				return -1
			}, id))
		}
	}
	return strings.TrimSpace(id)
}

// visible says whether a character is visible, or the space of ASCII. Some characters
// that Go calls printable have an empty glyph.
func visible(r rune) bool {
	switch r {
	case 0x034F, // combining grapheme joiner
		0x115F, 0x1160, 0x3164, 0xFFA0, // fillers of Hangul
		0x17B4, 0x17B5, // inherent vowels of Khmer
		0x2800,  // blank pattern of Braille
		0x1D159: // null notehead
		return false
	}
	return unicode.IsPrint(r)
}

// RudderID is the MD5 of both cleaned ids as a UUID of version 4.
func RudderID(userID, anonymousID string) string {
	id := uuid.UUID(md5.Sum([]byte(Clean(userID) + ":" + Clean(anonymousID))))
	id[6] = id[6]&0x0F | 0x40
	id[8] = id[8]&0x3F | 0x80
	return id.String()
}

// TextOf returns a JSON value as the gateway compares ids: the content of a string,
// "" for null or a missing value (""), JSON otherwise. A number beyond float64 keeps
// its digits.
func TextOf(raw string) string { return textOf(raw, true) }

// textOf is TextOf; first is that of decode.
func textOf(raw string, first bool) string {
	switch {
	case raw == "" || raw == "null":
		return ""
	case raw[0] == '"' && first:
		return unescape(raw)
	case raw[0] == '"':
		return jsonlex.Text(raw)
	}
	text, err := Marshal(decode(raw, first))
	if err != nil {
		return raw
	}
	return string(text)
}

// decode reads valid JSON, with numbers as float64. With first, as the gateway reads
// requests, the first of duplicate keys counts, and broken surrogate pairs are read
// as by unescape. Without, as it reads the transformer's response, the last one
// counts.
func decode(text string, first bool) (v any) {
	if !first {
		_ = json.Unmarshal([]byte(text), &v)
		return v
	}
	return jsonlex.Decode(text, true, scalar)
}

func scalar(text string) (v any) {
	if text[0] == '"' {
		return unescape(text)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return n
	}
	_ = json.Unmarshal([]byte(text), &v) // it is valid
	return v
}

// unescape reads a valid JSON string with its quotes as the gateway does: half a
// surrogate pair and a \u escape behind it become one U+FFFD together.
func unescape(quoted string) string {
	if !strings.Contains(quoted, `\u`) {
		return jsonlex.Text(quoted)
	}
	s, text := quoted[1:len(quoted)-1], make([]byte, 0, len(quoted))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			text = append(text, s[i])
			continue
		}
		i++
		if at := strings.IndexByte(`bfnrt`, s[i]); at >= 0 {
			text = append(text, "\b\f\n\r\t"[at])
			continue
		}
		if s[i] != 'u' {
			text = append(text, s[i])
			continue
		}
		r := codeUnit(s[i+1:])
		i += 4
		if utf16.IsSurrogate(r) && strings.HasPrefix(s[i+1:], `\u`) {
			r = utf16.DecodeRune(r, codeUnit(s[i+3:]))
			i += 6
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text)
}

func codeUnit(hex string) rune {
	unit, _ := strconv.ParseUint(hex[:4], 16, 16)
	return rune(unit)
}

// Marshal writes JSON with sorted keys and without HTML escapes. It fails for a
// number beyond float64.
func Marshal(value any) ([]byte, error) {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// Shorten cuts a text to fit in a line.
func Shorten(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
