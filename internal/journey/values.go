package journey

import (
	_ "embed" // for values.json
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// valueFuncs has how the values of each field are made, by the field's name, or by
// "name:type" or "event type/name" where one name means several things.
func valueFuncs() map[string]valueFunc {
	all := simpleValues()
	for _, part := range []map[string]valueFunc{
		userValues(), tokenValues(), sourceValues(), messageValues(), phoneValues(), behaviorValues(), agentValues(), otherValues(),
	} {
		maps.Copy(all, part)
	}
	return all
}

// parsed reads data that is part of the program.
func parsed[T any](text []byte) (data T) {
	if err := json.Unmarshal(text, &data); err != nil {
		panic(err)
	}
	return data
}

//go:embed values.json
var valuesText []byte

// simpleValues are those of values.json, which depend on nothing else: a text of a
// list, a share of true in percent, a number from low to high (in units of 10^-n where
// n is the third of its range), digits behind a prefix, or a UUID.
func simpleValues() map[string]valueFunc {
	type described struct {
		OneOf       []string `json:"one_of"`
		With        string   // the field whose draw they share, for fields that go together, such as a code and its text
		Percent     int
		Range       []int
		Prefix      string
		Hex, Digits int
	}
	all := make(map[string]valueFunc)
	for name, d := range parsed[map[string]described](valuesText) {
		switch {
		case d.With != "":
			key := population.Key(d.With)
			all[name] = drawn(func(m *moment) population.Draw { return m.Draw.With(key) }, oneOf(d.OneOf...))
		case len(d.OneOf) > 0:
			all[name] = oneOf(d.OneOf...)
		case d.Percent > 0:
			all[name] = chance(d.Percent)
		case len(d.Range) > 0:
			all[name] = decimal(d.Range[0], d.Range[1], append(d.Range, 0)[2])
		case d.Hex > 0:
			all[name] = hex(d.Prefix, d.Hex)
		case d.Digits > 0:
			all[name] = digits(d.Prefix, d.Digits)
		default:
			all[name] = uuid
		}
	}
	return all
}

func fixed(json string) valueFunc {
	return func(dst []byte, _ *moment, _ population.Draw) []byte { return append(dst, json...) }
}

func oneOf(list ...string) valueFunc {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = string(appendString(nil, s))
	}
	return func(dst []byte, _ *moment, d population.Draw) []byte {
		return append(dst, population.Pick(d, quoted)...)
	}
}

// drawn makes values by another draw than the field's own.
func drawn(by func(m *moment) population.Draw, value valueFunc) valueFunc {
	return func(dst []byte, m *moment, _ population.Draw) []byte { return value(dst, m, by(m)) }
}

// among chooses one of several ways to make a value.
func among(values ...valueFunc) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte { return population.Pick(d, values)(dst, m, d) }
}

// with makes values by a draw that is derived from the field's own.
func with(key uint64, value valueFunc) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte { return value(dst, m, d.With(key)) }
}

// filled is a JSON text with a value in each place of $.
func filled(json string, values ...valueFunc) valueFunc {
	parts := strings.Split(json, "$")
	return func(dst []byte, m *moment, d population.Draw) []byte {
		for i, value := range values {
			dst = value(append(dst, parts[i]...), m, d)
		}
		return append(dst, parts[len(values)]...)
	}
}

func chance(percent int) valueFunc {
	return func(dst []byte, _ *moment, d population.Draw) []byte {
		return strconv.AppendBool(dst, d.Chance(percent))
	}
}

func flipped(name string, percent int) valueFunc {
	return func(dst []byte, m *moment, _ population.Draw) []byte {
		return strconv.AppendBool(dst, m.flip(name, percent))
	}
}

// integer is an integer that is looked up for the moment.
func integer(of func(m *moment, d population.Draw) int64) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte { return strconv.AppendInt(dst, of(m, d), 10) }
}

func whole(low, high int) valueFunc {
	return integer(func(_ *moment, d population.Draw) int64 { return int64(d.Between(low, high)) })
}

// decimal is a number from low to high, given in units of 10^-decimals.
func decimal(low, high, decimals int) valueFunc {
	return func(dst []byte, _ *moment, d population.Draw) []byte {
		return appendFixed(dst, int64(d.Between(low, high)), decimals)
	}
}

// quoted is a string that needs no escaping.
func quoted(value valueFunc) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte {
		return append(value(append(dst, '"'), m, d), '"')
	}
}

var uuid = quoted(func(dst []byte, _ *moment, d population.Draw) []byte { return population.AppendUUID(dst, d) })

// hex is a string of n hex digits after a prefix.
func hex(prefix string, n int) valueFunc {
	return quoted(func(dst []byte, _ *moment, d population.Draw) []byte {
		return population.AppendHex(append(dst, prefix...), d, n)
	})
}

// digits is a string of n decimal digits after a prefix.
func digits(prefix string, n int) valueFunc {
	return quoted(func(dst []byte, _ *moment, d population.Draw) []byte {
		return population.AppendDigits(append(dst, prefix...), d, n)
	})
}

// userText is a string of the user that needs no escaping.
func userText(appendTo func(*population.User, []byte) []byte) valueFunc {
	return quoted(func(dst []byte, m *moment, _ population.Draw) []byte { return appendTo(&m.User, dst) })
}

func text(of func(m *moment, d population.Draw) string) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte { return appendString(dst, of(m, d)) }
}

// raw is text that is no value of its own.
func raw(of func(m *moment, d population.Draw) string) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte { return append(dst, of(m, d)...) }
}

// escaped is a JSON object as a string.
func escaped(object valueFunc) valueFunc {
	return func(dst []byte, m *moment, d population.Draw) []byte {
		m.scratch = object(m.scratch[:0], m, d)
		return appendString(dst, string(m.scratch))
	}
}

var (
	city     = text(func(m *moment, _ population.Draw) string { return m.User.Place.City })
	language = text(func(m *moment, _ population.Draw) string { return m.User.Place.Language })
)

func userValues() map[string]valueFunc {
	return map[string]valueFunc{
		"app_id":              text(func(m *moment, _ population.Draw) string { return m.User.App.ID }),
		"app_group_id":        text(func(m *moment, _ population.Draw) string { return m.pop.GroupID }),
		"platform":            text(func(m *moment, _ population.Draw) string { return string(m.User.App.Platform) }),
		"sdk_version":         text(func(m *moment, _ population.Draw) string { return m.User.App.SDKVersion }),
		"device_model":        text(func(m *moment, _ population.Draw) string { return m.User.Model.Name }),
		"device_os":           text(func(m *moment, _ population.Draw) string { return m.User.Model.OS }),
		"device_class":        text(func(m *moment, _ population.Draw) string { return m.User.Model.Class }),
		"os_version":          text(func(m *moment, _ population.Draw) string { return m.User.Model.Version }),
		"browser":             text(func(m *moment, _ population.Draw) string { return m.User.Model.Browser }),
		"user_agent":          text(func(m *moment, _ population.Draw) string { return m.User.Model.UserAgent }),
		"resolution":          text(func(m *moment, _ population.Draw) string { return m.User.Model.Resolution }),
		"carrier":             text(func(m *moment, _ population.Draw) string { return m.User.Place.Carrier }),
		"ad_id":               userText((*population.User).AppendAdID),
		"ad_id_type":          text(func(m *moment, _ population.Draw) string { return adIDTypes[m.User.App.Platform] }),
		"ad_tracking_enabled": func(dst []byte, m *moment, _ population.Draw) []byte { return strconv.AppendBool(dst, m.User.Tracked) },
		"user_id":             userText((*population.User).AppendID),
		"external_user_id":    userText((*population.User).AppendExternalID),
		"device_id":           userText((*population.User).AppendDeviceID),
		"timezone":            text(func(m *moment, _ population.Draw) string { return m.User.Place.Zone }),
		"first_name":          text(func(m *moment, _ population.Draw) string { return m.User.First }),
		"last_name":           text(func(m *moment, _ population.Draw) string { return m.User.Last }),
		"gender":              text(func(m *moment, _ population.Draw) string { return m.User.Gender }),
		"country":             text(func(m *moment, _ population.Draw) string { return m.User.Place.Country }),
		"home_city":           city,
		"language":            language,
		"locale_key":          text(func(m *moment, _ population.Draw) string { return m.User.Place.Locale }),
		"orphaned_by_id": quoted(func(dst []byte, m *moment, d population.Draw) []byte {
			other := m.pop.User(d.Bits() % m.pop.Users())
			return other.AppendID(dst)
		}),
	}
}

// adIDTypes are Braze's words for advertising ids; it has none for other platforms.
var adIDTypes = map[population.Platform]string{
	population.IOS: "ios_idfa", population.TVOS: "ios_idfa", population.Android: "google_ad_id", population.Roku: "roku_ad_id",
}

func tokenValues() map[string]valueFunc {
	token := func(name string) valueFunc {
		return drawn(func(m *moment) population.Draw { return m.User.Draw(name) }, hex("", 64))
	}
	// Keys of the Push API (RFC 8291, RFC 8292): points of P-256, uncompressed, and
	// a secret of 16 bytes, all base64url without padding.
	key := func(first string, n int, by func(m *moment) population.Draw) valueFunc {
		return drawn(by, quoted(func(dst []byte, _ *moment, d population.Draw) []byte {
			return appendRandom(append(dst, first...), d, n, base64+"-_")
		}))
	}
	return map[string]valueFunc{
		"push_token":                      userText((*population.User).AppendPushToken),
		"push_token_device_id":            userText((*population.User).AppendDeviceID),
		"push_token_created_at":           integer(func(m *moment, _ population.Draw) int64 { return m.User.Created }),
		"push_token_updated_at":           integer(func(m *moment, _ population.Draw) int64 { return m.Time }),
		"push_to_start_token":             token("push_to_start_token"),
		"update_token":                    token("update_token"),
		"web_push_token_public_key":       key("B", 86, func(m *moment) population.Draw { return m.User.Draw("p256dh") }),
		"web_push_token_user_auth":        key("", 22, func(m *moment) population.Draw { return m.User.Draw("auth") }),
		"web_push_token_vapid_public_key": key("B", 86, func(m *moment) population.Draw { return m.pop.Draw("vapid") }),
		"activity_id": userText(func(u *population.User, dst []byte) []byte {
			return population.AppendUpperUUID(dst, u.Draw("activity_id"))
		}),
	}
}

// fallback makes the values of a field that valueFuncs does not have, such as one
// of a newer glossary, by its description there.
func fallback(f *schemas.Field) valueFunc {
	switch {
	case f.Type == "boolean":
		return chance(50)
	case f.Type == "number":
		return decimal(0, 99_999, 2)
	case f.Type == "object":
		return fixed(`{}`)
	case f.Type == "array<string>":
		return filled(`[$]`, texts(f))
	case f.Type != "integer":
		return texts(f)
	case strings.HasPrefix(f.Unit, "seconds since"):
		return integer(func(m *moment, _ population.Draw) int64 { return m.Time })
	case strings.HasPrefix(f.Unit, "milliseconds since"):
		return integer(func(m *moment, d population.Draw) int64 { return m.Time*1000 + int64(d.N(1000)) })
	default:
		return whole(0, 999)
	}
}

// texts makes strings by their enumeration, examples or format.
func texts(f *schemas.Field) valueFunc {
	switch {
	case len(f.Enum) > 0:
		return oneOf(f.Enum...)
	case len(f.Examples) > 0:
		return oneOf(f.Examples...)
	case f.Format == "uuid":
		return uuid
	case strings.HasPrefix(f.Format, "24 "):
		return hex("", 24)
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
	case strings.HasPrefix(f.Format, "JSON"):
		return fixed(`"{}"`)
	default:
		return hex("", 12)
	}
}

func appendString(dst []byte, s string) []byte { return jsonlex.AppendString(dst, s) }

// appendFixed appends v·10^-decimals as a JSON number without needless zeros. The
// quotient of whole numbers below 2^53 has the same digits on every processor.
func appendFixed(dst []byte, v int64, decimals int) []byte {
	return strconv.AppendFloat(dst, float64(v)/math.Pow10(decimals), 'f', -1, 64)
}

// base64 is what the alphabets of base64 begin with; two characters follow.
const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func appendRandom(dst []byte, d population.Draw, n int, alphabet string) []byte {
	for i := range n {
		dst = append(dst, alphabet[d.With(uint64(i)).N(len(alphabet))])
	}
	return dst
}
