package journey

import (
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// fallback makes values for a field that has none of its own here, such as one
// that is new in the glossary, from what the glossary says of it.
func fallback(f *schemas.Field) valueFunc {
	switch f.Type {
	case "boolean":
		return chance(50)
	case "integer":
		return integers(f.Unit)
	case "number":
		return func(dst []byte, _ *moment, d population.Draw) []byte {
			return appendFixed(dst, int64(d.N(100_000)), 2)
		}
	case "object":
		return fixed(`{}`)
	case "array<string>":
		item := texts(f)
		return func(dst []byte, m *moment, d population.Draw) []byte {
			return append(item(append(dst, '['), m, d), ']')
		}
	default:
		return texts(f)
	}
}

func integers(unit string) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte {
		switch {
		case strings.HasPrefix(unit, "seconds since"):
			return strconv.AppendInt(dst, m.time, 10)
		case strings.HasPrefix(unit, "milliseconds since"):
			return strconv.AppendInt(dst, m.time*1000+int64(d.N(1000)), 10)
		default:
			return strconv.AppendInt(dst, int64(d.N(1000)), 10)
		}
	}
}

// texts goes by the enumeration, the examples and the format of a string.
func texts(f *schemas.Field) valueFunc {
	if len(f.Enum) > 0 {
		return oneOf(f.Enum...)
	}
	if len(f.Examples) > 0 {
		return oneOf(f.Examples...)
	}
	switch {
	case f.Format == "uuid":
		return uuid
	case strings.HasPrefix(f.Format, "24 "):
		return hex(24)
	case f.Format == "email":
		return userText((*population.User).AppendEmail)
	case f.Format == "E.164":
		return userText((*population.User).AppendPhone)
	case f.Format == "domain":
		return func(dst []byte, m *moment, _ population.Draw) []byte { return appendString(dst, m.pop.Domain) }
	case f.Format == "url":
		return link
	case f.Format == "IPv4":
		return ipv4
	case f.Format == "ISO 8601 date":
		return userText((*population.User).AppendBirthday)
	case strings.HasPrefix(f.Format, "JSON object"):
		return fixed(`"{}"`)
	default:
		return hex(12)
	}
}
