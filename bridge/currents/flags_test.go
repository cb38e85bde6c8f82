package currents_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

const publicFlags = currents.FlagNul | currents.FlagUnsafeKey | currents.FlagPathKey | currents.FlagNumber |
	currents.FlagSurrogate | currents.FlagID | currents.FlagEventType | currents.FlagProperties

func TestFlagsOfAnEvent(t *testing.T) {
	tests := []struct {
		name, event string
		want        currents.Flags
	}{
		{"plain", `{"event_type":"users.a.B","id":"1","time":1700000000,"properties":{"a":1.5,"b_c":"\n","nested":{"a.b":1,"__proto__":2,"7":3}}}`, 0},
		{"nul in a value", `{"properties":{"a":"x\u0000y"}}`, currents.FlagNul},
		{"nul deep inside", `{"properties":{"a":[{"b":"\u0000"}]}}`, currents.FlagNul},
		{"nul in a key", `{"\u0000":1}`, currents.FlagNul},
		{"nul in a key of user", `{"user":{"a\u0000":1}}`, currents.FlagNul},
		{"nul in a nested key", `{"x":[{"a\u0000b":1}]}`, currents.FlagNul},
		{"nul in a property's key", `{"properties":{"a\u0000":1}}`, currents.FlagNul},
		{"nul in a duplicate that does not count", `{"properties":{"a":"\u0000"},"properties":{}}`, currents.FlagNul},
		{"nul behind an escaped backslash", `{"properties":{"a":"\\\u0000"}}`, currents.FlagNul},
		{"no nul: the backslash is escaped", `{"properties":{"a":"\\u0000"}}`, 0},
		{"no nul: other escapes", `{"properties":{"a":"\u0001\u00010\u1000"}}`, 0},
		{"half a pair", `{"properties":{"a":"\ud800"}}`, currents.FlagSurrogate},
		{"the other half", `{"properties":{"a":"\uDC00"}}`, currents.FlagSurrogate},
		{"halves apart", `{"properties":{"a":"\ud83dx\ude00"}}`, currents.FlagSurrogate},
		{"two first halves", `{"properties":{"a":"\ud83d\ud83d\ude00"}}`, currents.FlagSurrogate},
		{"half a pair before a nul", `{"properties":{"a":"\ud800\u0000"}}`, currents.FlagSurrogate | currents.FlagNul},
		{"half a pair before another escape", `{"properties":{"a":"\ud800\n"}}`, currents.FlagSurrogate},
		{"half a pair at the end of a word", `{"properties":{"a":"12345678\ud8001234567890"}}`, currents.FlagSurrogate},
		{"a pair", `{"properties":{"a":"x\ud83d\ude00y"}}`, 0},
		{"halves in two strings", `{"properties":{"a":["\ud83d","\ude00"]}}`, currents.FlagSurrogate},
		{"big integer", `{"x":[9007199254740993]}`, currents.FlagNumber},
		{"properties text", `{"properties":"x"}`, currents.FlagProperties},
		{"properties true", `{"properties":true}`, currents.FlagProperties},
		{"properties number", `{"properties":0}`, currents.FlagProperties},
		{"properties array", `{"properties":[1]}`, 0},
		{"properties empty array", `{"properties":[ ]}`, currents.FlagProperties},
		{"properties null", `{"properties":null}`, 0},
		{"only the last properties count", `{"properties":{"a.b":1,"prototype":2},"properties":"x","properties":{"c":1}}`, 0},
		{"the last properties are odd", `{"properties":{},"properties":{"a/b":1}}`, currents.FlagPathKey},
		{"number in a duplicate", `{"properties":{"a":1e400},"properties":{}}`, currents.FlagNumber},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := scanOne(t, tt.event)
			require.Equal(t, tt.want, e.Flags)
			require.Equal(t, tt.want&^(currents.FlagNul|currents.FlagUnsafeKey) != 0, e.Changed())
		})
	}
}

func TestFlagsOfWhatIsNoObject(t *testing.T) {
	require.Equal(t, currents.FlagNul|currents.FlagNumber, scanOne(t, `["\u0000",{"a.b":1e999}]`).Flags)
	require.Zero(t, scanOne(t, `"a\tb"`).Flags)
}

// TestFlagsDoNotLeak: what is odd in one event is not said of its neighbours.
func TestFlagsDoNotLeak(t *testing.T) {
	events := scan(t, `{"a\u0000":1e999,"events":[{"x":1},{"properties":{"a.b":"\u0000"}},{"properties":{"a":1}},1,{}]}`)
	for i, want := range []currents.Flags{0, currents.FlagPathKey | currents.FlagNul, 0, 0, 0} {
		require.Equal(t, want, events[i].Flags, i)
	}
}

func TestPropertyKeysAsPaths(t *testing.T) {
	const path, unsafe = currents.FlagPathKey, currents.FlagUnsafeKey
	tests := map[string]currents.Flags{
		`a`: 0, `campaign_id`: 0, `a_fairly_long_key_of_properties`: 0, `a b`: 0, `é`: 0, `length`: 0, `hasOwnProperty`: 0, `v2`: 0, `__proto`: 0, `e5`: 0, `Infinity`: 0,
		``: path, `a.b`: path, `a.`: path, `.`: path, `a/b`: path, `a\\b`: path, `\u0061.b`: path, `a\u002eb`: path, `a\/b`: path, `https://x.com/y`: path,
		`a_fairly_long_key_of_properties_with.dot`: path, `exactly8.`: path, `seven77.and`: path, `1234567/`: path,
		`1`: path, `007`: path, `-1`: path, `+1`: path, `0x10`: path, `0XfF`: path, `0b101`: path, `0o17`: path, `1e2`: path, `10e-1`: path, `-0`: path,
		` 7 `: path, `\t7`: path, `\ufeff7`: path, `7\u00a0`: path, `1e400`: 0, `1_0`: 0, `0x`: 0, `0b12`: 0, `-0x10`: 0, `0xg`: 0, `1e`: 0, `5e-1`: 0, `1a`: 0, ` `: 0, `-`: 0, `+`: 0, `7\u0085`: 0,
		`900000`: path, `12345678901234567890123`: path | currents.FlagLargeIndex, `\u0031`: path,
		`__proto__`: unsafe, `constructor`: unsafe, `prototype`: unsafe, `\u005f_proto__`: unsafe, `proto\u0074ype`: unsafe,
		`a.__proto__`: path | unsafe, `constructor.b`: path | unsafe, `a.prototype.b`: path | unsafe, `__pro\\to__`: path | unsafe, `prototype.`: path | unsafe, `prototype\\`: path, `a.prototype\\`: path, `a..constructor`: path | unsafe,
		`a\\.__proto__`: path, `a/__proto__`: path, `x/y.constructor`: path, `prototypes`: 0, `constructor_`: 0, ` constructor`: 0, `Constructor`: 0, `prototype_and_more_than_16_bytes`: 0,
		`a_segment_longer_than_16_bytes.constructor`: path | unsafe, `constructorconstructor.a`: path,
	}
	for key, want := range tests {
		for _, around := range []string{`{"properties":{"%s":1}}`, `{"properties":{"c":2,"%s":{"x":1},"d":3}}`} {
			require.Equal(t, want, scanOne(t, fmt.Sprintf(around, key)).Flags, "key %s", key)
		}
		// Near the end of the body, where words of eight bytes no longer fit.
		var batch currents.Batch
		require.NoError(t, batch.Scan([]byte(`{"events":[{"properties":{"`+key+`":1}}]}`)))
		require.Equal(t, want, batch.Events[0].Flags, "key %s", key)
	}
}

func TestIDsThatChange(t *testing.T) {
	for id, want := range map[string]bool{
		`"a"`: false, `null`: false, `"a b"`: false, `"é"`: false, `"a\tb"`: false, `"日本"`: false, `"\u0061"`: false,
		`1`: true, `0`: true, `true`: true, `{}`: true, `[]`: true, `""`: true, `" "`: true, `"a "`: true, `" a"`: true, `"\ta"`: true, `"a\u0020"`: true, `"a\n"`: true, "\"a\u00a0\"": true,
	} {
		require.Equal(t, want, scanOne(t, `{"id":`+id+`}`).Changed(), id)
	}
}

func TestEventTypesThatChange(t *testing.T) {
	for name, want := range map[string]bool{
		`"users.messages.email.Open"`: false, `"a"`: false, `""`: false, `1`: false, `{"constructor":1}`: false, `"Constructor"`: false, `"length"`: false,
		`"constructor"`: true, `"toString"`: true, `"to\u0053tring"`: true, `"__proto__"`: true, `"hasOwnProperty"`: true, `"propertyIsEnumerable"`: true, `"__lookupSetter__"`: true, `"valueOf"`: true,
	} {
		require.Equal(t, want, scanOne(t, `{"event_type":`+name+`}`).Flags == currents.FlagEventType, name)
	}
}

func TestNumbersThatChange(t *testing.T) {
	for number, want := range map[string]bool{
		`0`: false, `-0`: false, `1.0`: false, `0.1`: false, `1e21`: false, `1e-7`: false, `100000000000000000000e-5`: false, `0.000`: false, `0e999999999999999999999`: false,
		`9007199254740991`: false, `9007199254740992`: false, `-9007199254740992`: false, `1700000000.789`: false, `123456789.123456789e3`: true, `37.77492950000001`: false,
		`9007199254740993`: true, `-9007199254740993`: true, `9007199254740994`: true, `1152921504606846976`: true, `123456789012345678901234567890`: true, `10000000000000000000000`: true,
		`1e400`: true, `-1e400`: true, `1e-400`: true, `0.1234567890123456789`: true, `3.14159265358979323846`: true, `1.00000000000000000`: false, `100000000000000000.0`: false,
	} {
		require.Equal(t, want, scanOne(t, `[`+number+`]`).Flags == currents.FlagNumber, number)
	}
}

// TestNumbersAgainstBig works out with exact arithmetic what a float64 keeps.
func TestNumbersAgainstBig(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		raw := randomNumber(rng)
		f, err := strconv.ParseFloat(raw, 64)
		want := true
		if err == nil {
			exact, ok := new(big.Rat).SetString(raw)
			require.True(t, ok, raw)
			printed, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
			require.True(t, ok, raw)
			want = exact.Cmp(printed) != 0
			if !strings.ContainsAny(raw, ".e") {
				want = exact.Num().CmpAbs(big.NewInt(1<<53)) > 0
			}
		}
		require.Equal(t, want, scanOne(t, `[`+raw+`]`).Flags == currents.FlagNumber, raw)
	}
}

func randomNumber(rng *rand.Rand) string {
	digits := func(n int) string {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte('0' + rng.IntN(10)*rng.IntN(2))
		}
		return string(text)
	}
	raw := strings.TrimLeft(digits(rng.IntN(22)), "0")
	if raw == "" {
		raw = "0"
	}
	if rng.IntN(2) == 0 {
		raw += "." + digits(1+rng.IntN(20))
	}
	if rng.IntN(3) == 0 {
		raw += "e" + strconv.Itoa(rng.IntN(60)-30)
	}
	if rng.IntN(2) == 0 {
		raw = "-" + raw
	}
	return raw
}

// TestLiteralPaths: RudderStack reads a key that is the whole path before it
// walks into user or properties.
func TestLiteralPaths(t *testing.T) {
	tests := []struct {
		event   string
		changed bool
		want    currents.Reason // of WebhookProblem
	}{
		{`{"event_type":"t","user.user_id":"x"}`, true, ""},
		{`{"event_type":"t","user.external_user_id":1}`, true, ""},
		{`{"event_type":"t","user\u002euser_id":"x"}`, true, ""},
		{`{"event_type":"t","user.user_id":null,"user":{"user_id":"u"}}`, true, currents.NoIdentity},
		{`{"event_type":"t","user.user_id":"x","user.user_id":" ","user":{"user_id":"u"}}`, true, currents.NoIdentity},
		{`{"event_type":"t","user.external_user_id":"x","user.external_user_id":0,"user":{"external_user_id":"u"}}`, true, currents.NoIdentity},
		{`{"event_type":"t","user.user_id":null,"user":{"user_id":"u","external_user_id":"e"}}`, true, ""},
		{`{"event_type":"t","properties.a":1,"user":{"user_id":"u"},"properties":{"a":2}}`, true, ""},
		{`{"event_type":"t","other.user_id":null,"userXuser_id":1,"user":{"user_id":"u"}}`, false, ""},
	}
	for _, tt := range tests {
		e := scanOne(t, tt.event)
		require.Equal(t, tt.changed, e.Changed(), tt.event)
		require.Equal(t, tt.want, e.WebhookProblem(), tt.event)
		require.Zero(t, e.Flags&publicFlags, tt.event)
	}
}

func TestSameNumber(t *testing.T) {
	groups := [][]string{
		{"0", "-0", "0.00", "0e5", "-0.0E-99999999999999999999"},
		{"1", "1.0", "1e0", "10e-1", "0.1E+1", "0.0001e4", "1.000000000000000000000000"},
		{"-1", "-1.0"}, {"10", "1e1"}, {"9007199254740993", "9007199254740993.0", "9.007199254740993e15"}, {"9007199254740992"},
		{"1e400", "10e399"}, {"1e401"}, {"0.5", "5e-1"}, {"-0.5"}, {"1e99999999999999999998"}, {"1e99999999999999999999"},
	}
	for i, group := range groups {
		for j, other := range groups {
			for _, a := range group {
				for _, b := range other {
					far := len(a) > 20 && a[1] == 'e'
					require.Equal(t, i == j && !far, currents.SameNumber([]byte(a), []byte(b)), "%s %s", a, b)
				}
			}
		}
	}
}
