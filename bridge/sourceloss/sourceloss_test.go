package sourceloss_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
)

const sane = `"event_type":"t","user":{"user_id":"u"}`

// of judges an event with these members beside a type and a user.
func of(members string) sourceloss.Loss {
	return sourceloss.Of([]byte(`{` + sane + `,` + members + `}`))
}

func TestWhatIsLostOfAnEvent(t *testing.T) {
	for _, tt := range []struct {
		name, members string
		reason        currents.Reason
		changed       bool
	}{
		{"plain", `"id":"1","time":1700000000,"properties":{"a":1.5,"b_c":"\n","nested":{"a.b":1,"__proto__":2,"7":3}}`, "", false},
		{"nul in a value", `"properties":{"a":"x\u0000y"}`, sourceloss.Nul, false},
		{"nul deep inside", `"properties":{"a":[{"b":"\u0000"}]}`, sourceloss.Nul, false},
		{"nul in a key", `"\u0000":1`, sourceloss.Nul, false},
		{"nul in a key of user", `"user":{"user_id":"u","a\u0000":1}`, sourceloss.Nul, false},
		{"nul in a nested key", `"x":[{"a\u0000b":1}]`, sourceloss.Nul, false},
		{"nul in a property's key", `"properties":{"a\u0000":1}`, sourceloss.Nul, false},
		{"nul in a duplicate that does not count", `"properties":{"a":"\u0000"},"properties":{}`, sourceloss.Nul, false},
		{"nul behind an escaped backslash", `"properties":{"a":"\\\u0000"}`, sourceloss.Nul, false},
		{"no nul: the backslash is escaped", `"properties":{"a":"\\u0000"}`, "", false},
		{"no nul: other escapes", `"properties":{"a":"\u0001\u00010\u1000"}`, "", false},
		{"half a pair", `"properties":{"a":"\ud800"}`, "", true},
		{"the other half", `"properties":{"a":"\uDC00"}`, "", true},
		{"halves apart", `"properties":{"a":"\ud83dx\ude00"}`, "", true},
		{"two first halves", `"properties":{"a":"\ud83d\ud83d\ude00"}`, "", true},
		{"half a pair before a nul", `"properties":{"a":"\ud800\u0000"}`, sourceloss.Nul, true},
		{"half a pair before another escape", `"properties":{"a":"\ud800\n"}`, "", true},
		{"half a pair at the end of a word", `"properties":{"a":"12345678\ud8001234567890"}`, "", true},
		{"a pair", `"properties":{"a":"x\ud83d\ude00y"}`, "", false},
		{"halves in two strings", `"properties":{"a":["\ud83d","\ude00"]}`, "", true},
		{"big integer", `"x":[9007199254740993]`, "", true},
		{"properties text", `"properties":"x"`, "", true},
		{"properties true", `"properties":true`, "", true},
		{"properties number", `"properties":0`, "", true},
		{"properties array", `"properties":[1]`, "", false},
		{"properties empty array", `"properties":[ ]`, "", true},
		{"properties null", `"properties":null`, "", false},
		{"only the last properties count", `"properties":{"a.b":1,"prototype":2},"properties":"x","properties":{"c":1}`, "", false},
		{"the last properties are a path", `"properties":{},"properties":{"a/b":1}`, "", true},
		{"number in a duplicate", `"properties":{"a":1e400},"properties":{}`, "", true},
	} {
		require.Equal(t, sourceloss.Loss{Reason: tt.reason, Changed: tt.changed}, of(tt.members), tt.name)
	}
}

// TestProblemsOfEveryMode: what currents calls a problem is one here, but that the
// source takes a redacted id and knows keys that are the whole path to an id.
func TestProblemsOfEveryMode(t *testing.T) {
	for event, want := range map[string]sourceloss.Loss{
		`5`: {Reason: currents.NotAnObject}, ``: {Reason: currents.NotAnObject}, `[{}]`: {Reason: currents.NotAnObject},
		`{"user":{"user_id":"u"}}`:                                       {Reason: currents.NoEventType},
		`{"event_type":"t","event_type":0,"user":{"user_id":"u"}}`:       {Reason: currents.NoEventType},
		`{"event_type":"t","user":{"user_id":" ","external_user_id":0}}`: {Reason: currents.NoIdentity},
		`{"event_type":"t","user":{"user_id":"u"},"user":[]}`:            {Reason: currents.NoIdentity},
		`{"event_type":"t","user":{"user_id":"[REDACTED]"}}`:             {},
		`{"event_type":"t","user":{"external\u005fuser_id":"e"}}`:        {},

		`{"event_type":"t","user.user_id":"x"}`:                                                                    {Changed: true},
		`{"event_type":"t","user.external_user_id":1}`:                                                             {Changed: true},
		`{"event_type":"t","user\u002euser_id":"x"}`:                                                               {Changed: true},
		`{"event_type":"t","user.user_id":null,"user":{"user_id":"u"}}`:                                            {currents.NoIdentity, true},
		`{"event_type":"t","user.user_id":"x","user.user_id":" ","user":{"user_id":"u"}}`:                          {currents.NoIdentity, true},
		`{"event_type":"t","user.external_user_id":"x","user.external_user_id":0,"user":{"external_user_id":"u"}}`: {currents.NoIdentity, true},
		`{"event_type":"t","user.user_id":null,"user":{"user_id":"u","external_user_id":"e"}}`:                     {Changed: true},
		`{"event_type":"t","properties.a":1,"user":{"user_id":"u"},"properties":{"a":2}}`:                          {Changed: true},
		`{"event_type":"t","other.user_id":null,"userXuser_id":1,"user":{"user_id":"u"}}`:                          {},
	} {
		require.Equal(t, want, sourceloss.Of([]byte(event)), event)
	}
}

func TestPropertyKeysAsPaths(t *testing.T) {
	const path, unsafe, large = 1, 2, 4
	for key, want := range map[string]int{
		`a`: 0, `campaign_id`: 0, `a_fairly_long_key_of_properties`: 0, `a b`: 0, `é`: 0, `length`: 0, `hasOwnProperty`: 0, `v2`: 0, `__proto`: 0, `e5`: 0, `Infinity`: 0,
		``: path, `a.b`: path, `a.`: path, `.`: path, `a/b`: path, `a\\b`: path, `\u0061.b`: path, `a\u002eb`: path, `a\/b`: path, `https://x.com/y`: path,
		`a_fairly_long_key_of_properties_with.dot`: path, `exactly8.`: path, `seven77.and`: path, `1234567/`: path,
		`1`: path, `007`: path, `-1`: path, `+1`: path, `0x10`: path, `0XfF`: path, `0b101`: path, `0o17`: path, `1e2`: path, `10e-1`: path, `-0`: path,
		` 7 `: path, `\t7`: path, `\ufeff7`: path, `7\u00a0`: path, `1e400`: 0, `1_0`: 0, `0x`: 0, `0b12`: 0, `-0x10`: 0, `0xg`: 0, `1e`: 0, `5e-1`: 0, `1a`: 0, ` `: 0, `-`: 0, `+`: 0, `7\u0085`: 0,
		`900000`: path, `12345678901234567890123`: path | large, `\u0031`: path,
		`__proto__`: unsafe, `constructor`: unsafe, `prototype`: unsafe, `\u005f_proto__`: unsafe, `proto\u0074ype`: unsafe,
		`a.__proto__`: path | unsafe, `constructor.b`: path | unsafe, `a.prototype.b`: path | unsafe, `__pro\\to__`: path | unsafe, `prototype.`: path | unsafe, `prototype\\`: path, `a.prototype\\`: path, `a..constructor`: path | unsafe,
		`a\\.__proto__`: path, `a/__proto__`: path, `x/y.constructor`: path, `prototypes`: 0, `constructor_`: 0, ` constructor`: 0, `Constructor`: 0, `prototype_and_more_than_16_bytes`: 0,
		`a_segment_longer_than_16_bytes.constructor`: path | unsafe, `constructorconstructor.a`: path,
	} {
		for _, around := range []string{`"properties":{"%s":1}`, `"properties":{"c":2,"%s":{"x":1},"d":3}`} {
			loss := of(fmt.Sprintf(around, key))
			require.Equal(t, want&path != 0, loss.Changed, "key %s", key)
			require.Equal(t, want&unsafe != 0, loss.Reason == sourceloss.UnsafeKey, "key %s", key)
			require.Equal(t, want&large != 0, loss.Reason == sourceloss.LargeIndex, "key %s", key)
		}
	}
}

func TestIDsThatChange(t *testing.T) {
	for id, want := range map[string]bool{
		`"a"`: false, `null`: false, `"a b"`: false, `"é"`: false, `"a\tb"`: false, `"日本"`: false, `"\u0061"`: false,
		`1`: true, `0`: true, `true`: true, `{}`: true, `[]`: true, `""`: true, `" "`: true, `"a "`: true, `" a"`: true, `"\ta"`: true, `"a\u0020"`: true, `"a\n"`: true, "\"a\u00a0\"": true,
	} {
		require.Equal(t, want, of(`"id":`+id).Changed, id)
	}
}

func TestEventTypesThatChange(t *testing.T) {
	for name, want := range map[string]bool{
		`"users.messages.email.Open"`: false, `"a"`: false, `""`: false, `1`: false, `{"constructor":1}`: false, `"Constructor"`: false, `"length"`: false,
		`"constructor"`: true, `"toString"`: true, `"to\u0053tring"`: true, `"__proto__"`: true, `"hasOwnProperty"`: true, `"propertyIsEnumerable"`: true, `"__lookupSetter__"`: true, `"valueOf"`: true,
	} {
		require.Equal(t, want, of(`"event_type":`+name).Changed, name)
	}
}

func TestNumbersThatChange(t *testing.T) {
	for number, want := range map[string]bool{
		`0`: false, `-0`: false, `1.0`: false, `0.1`: false, `1e21`: false, `1e-7`: false, `100000000000000000000e-5`: false, `0.000`: false, `0e999999999999999999999`: false,
		`9007199254740991`: false, `9007199254740992`: false, `-9007199254740992`: false, `1700000000.789`: false, `123456789.123456789e3`: true, `37.77492950000001`: false,
		`9007199254740993`: true, `-9007199254740993`: true, `9007199254740994`: true, `1152921504606846976`: true, `123456789012345678901234567890`: true, `10000000000000000000000`: true,
		`1e400`: true, `-1e400`: true, `1e-400`: true, `0.1234567890123456789`: true, `3.14159265358979323846`: true, `1.00000000000000000`: false, `100000000000000000.0`: false,
	} {
		require.Equal(t, want, of(`"a":[`+number+`]`).Changed, number)
		require.Equal(t, want, of(`"a":`+number).Changed, number)
	}
}

// TestOrderOfReasons: what is dropped silently comes before what is refused.
func TestOrderOfReasons(t *testing.T) {
	require.Equal(t, sourceloss.UnsafeKey, of(`"properties":{"a.constructor":"\u0000"}`).Reason)
	require.Equal(t, currents.NoIdentity, of(`"properties":{"__proto__":"\u0000"},"user":{}`).Reason)
	require.Equal(t, sourceloss.Nul, of(`"properties":{"20000000":"\u0000"}`).Reason)
}

func TestWhatHarmsOtherEvents(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for members, want := range map[string]currents.Reason{
		`"properties":{"custom_properties":` + nested(3998) + `}`: "", `"properties":{"a":` + nested(3999) + `}`: sourceloss.TooDeep,
		`"properties":{"a":` + nested(20_000) + `}`: sourceloss.TooDeep, `"elsewhere":` + nested(3999): "", `"elsewhere":` + nested(4000): sourceloss.TooDeep,
		`"user":{"user_id":"u","a":` + nested(3999) + `}`: sourceloss.TooDeep,
		`"properties":{"999999":1}`:                       "", `"properties":{"1000000":1}`: sourceloss.LargeIndex, `"properties":{"1e7":1}`: sourceloss.LargeIndex,
		`"properties":{"a.5000000":1}`: sourceloss.LargeIndex, `"properties":{"0x1000000":1}`: sourceloss.LargeIndex, `"properties":{"-5000000":1}`: "",
		`"properties":{"1000000.5a":1}`: sourceloss.LargeIndex, `"properties":{"5000000/a":1}`: "", `"properties":{"a5000000":1}`: "",
		`"properties":{"custom_properties":{"20000000":1}}`: "", `"properties":{"20000000":1},"properties":{"a":1}`: "",
	} {
		require.Equal(t, want, of(members).Reason, members[:min(90, len(members))])
	}
}

// FuzzOf judges anything that is valid, and never panics.
func FuzzOf(f *testing.F) {
	for _, tt := range throwing() {
		f.Add([]byte(`{` + sane + `,` + tt.members + `}`))
	}
	f.Add([]byte(`{"event_type":"\ud83d\ude00","properties":[ ],"time":[[ ],[1 , {"toString":1}]]}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		var batch currents.Batch
		if batch.ScanEvent(event) != nil {
			return
		}
		e := batch.Events[0]
		loss := sourceloss.Of(event[e.Start:e.End])
		if e.Problem() == currents.NotAnObject || e.Problem() == currents.NoEventType {
			require.Equal(t, e.Problem(), loss.Reason)
		}
		if !bytes.Contains(event, []byte(`\u0000`)) {
			require.NotEqual(t, sourceloss.Nul, loss.Reason)
		}
	})
}

// BenchmarkOf judges an event of about 1 KB.
func BenchmarkOf(b *testing.B) {
	_, events := currentstest.EmailOpens(100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if sourceloss.Of(events[i%100]).Reason != "" {
			b.Fatal("lost")
		}
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
		require.Equal(t, want, of(`"properties":{"a":[`+raw+`],"a":`+raw+`}`).Changed, raw)
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
