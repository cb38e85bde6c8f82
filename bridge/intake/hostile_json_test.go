package intake

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// event returns a good event whose properties are the JSON text given.
func event(properties string) string {
	return `{"id":"e","event_type":"t","user":{"user_id":"u"},"properties":` + properties + `}`
}

func batch(events ...string) string { return `{"events":[` + strings.Join(events, ",") + `]}` }

func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

func asUTF16(text string, big bool) string {
	var b strings.Builder
	for _, unit := range append([]uint16{0xfeff}, utf16.Encode([]rune(text))...) {
		if big {
			b.Write([]byte{byte(unit >> 8), byte(unit)})
		} else {
			b.Write([]byte{byte(unit), byte(unit >> 8)})
		}
	}
	return b.String()
}

type jsonAttack struct {
	name   string
	body   string
	status int
	events int // stored
	dead   int // of these
}

func firstJsonAttacks() []jsonAttack {
	good := event(`{}`)
	return []jsonAttack{
		{"nested once", batch(event(`{"a":[1]}`)), 200, 1, 0},
		{"nested 10,000 times", batch(event(`{"a":` + nested(10_000) + `}`)), 200, 1, 0},
		{"nested 1,000,000 times", batch(event(`{"a":` + nested(1_000_000) + `}`)), 200, 1, 0},
		{"objects nested 1,000,000 times", batch(event(strings.Repeat(`{"a":`, 1_000_000) + "1" + strings.Repeat("}", 1_000_000))), 200, 1, 0},
		{"nested beside the events", `{"x":` + nested(1_000_000) + `,"events":[` + good + `]}`, 200, 1, 0},
		{"nested without end", strings.Repeat("[", 1_000_000), 400, 0, 0},
		{"nested and closed wrongly", batch(event(strings.Repeat("[", 1_000_000) + strings.Repeat("}", 1_000_000))), 400, 0, 0},
		{"events as deep arrays", batch(nested(1_000_000), good), 200, 2, 1},

		{"number of 400 digits", batch(event(`{"n":1` + strings.Repeat("0", 400) + `}`)), 200, 1, 0},
		{"number of a million digits", batch(event(`{"n":` + strings.Repeat("9", 1_000_000) + `}`)), 200, 1, 0},
		{"number too large for a double", batch(event(`{"n":1e999999,"m":-1E+999999,"l":1e-999999}`)), 200, 1, 0},
		{"time too large", batch(`{"id":"e","event_type":"t","time":1e999999,"user":{"user_id":"u"}}`), 200, 1, 0},
		{"id too large", batch(`{"id":1e999999,"event_type":"t","user":{"user_id":"u"}}`), 200, 1, 0},
		{"id of a million digits", batch(`{"id":` + strings.Repeat("9", 1_000_000) + `,"event_type":"t","user":{"user_id":"u"}}`), 200, 1, 0},
		{"number with a leading zero", batch(event(`{"n":01}`)), 400, 0, 0},
		{"number without digits", batch(event(`{"n":-}`)), 400, 0, 0},
		{"NaN", batch(event(`{"n":NaN}`)), 400, 0, 0},
		{"Infinity", batch(event(`{"n":-Infinity}`)), 400, 0, 0},

		{"duplicate keys", batch(`{"id":"1","id":"2","event_type":"t","event_type":"s","user":{"user_id":"u"},"user":{"user_id":"v"},"properties":{"a":1,"a":2}}`), 200, 1, 0},
		{"duplicate key takes the identity away", batch(`{"id":"1","event_type":"t","user":{"user_id":"u"},"user":{}}`), 200, 1, 1},
		{"events twice", `{"events":[` + good + `],"events":[` + good + `,7]}`, 200, 2, 1},
		{"events twice, no array last", `{"events":[` + good + `],"events":{}}`, 400, 0, 0},
		{"events twice, no array first", `{"events":7,"events":[` + good + `]}`, 200, 1, 0},
		{"events written with an escape", `{"\u0065vents":[` + good + `]}`, 200, 1, 0},
		{"events deeper", `{"a":{"events":[` + good + `]}}`, 400, 0, 0},
		{"Events", `{"Events":[` + good + `]}`, 400, 0, 0},
		{"events is an object", `{"events":{}}`, 400, 0, 0},
		{"events is null", `{"events":null}`, 400, 0, 0},
		{"events is a text", `{"events":"[]"}`, 400, 0, 0},
		{"an object without events", `{}`, 400, 0, 0},
		{"null", `null`, 400, 0, 0},
		{"a number", `7`, 400, 0, 0},
		{"a bare array", `[` + good + `]`, 400, 0, 0},
		{"nothing", ``, 200, 0, 0},
		{"no events", batch(), 200, 0, 0},
		{"null events among good ones", batch(good, `null`, `null`, good), 200, 4, 2},
		{"events that are none", batch(`7`, `"x"`, `[]`, `true`, `{}`), 200, 5, 5},
	}
}

func moreJsonAttacks() []jsonAttack {
	good := event(`{}`)
	return []jsonAttack{
		{"invalid UTF-8 in a value", batch(event("{\"a\":\"\xff\xfe\xc0\x80\xed\xa0\x80\"}")), 200, 1, 0},
		{"invalid UTF-8 in a key", batch(event("{\"\xff\":1}")), 200, 1, 0},
		{"invalid UTF-8 in the id", batch("{\"id\":\"\xff\",\"event_type\":\"t\",\"user\":{\"user_id\":\"u\"}}"), 200, 1, 0},
		{"invalid UTF-8 outside of a text", "\xff" + batch(good), 400, 0, 0},
		{"lone surrogates", batch(event(`{"a":"\ud800","\udc00":"\udc00\ud800"}`)), 200, 1, 0},
		{"half an escape", batch(event(`{"a":"\ud8"}`)), 400, 0, 0},
		{"escaped NUL", batch(event(`{"a":"\u0000"}`)), 200, 1, 0},
		{"NUL in a text", batch(event("{\"a\":\"\x00\"}")), 400, 0, 0},
		{"NUL behind the document", batch(good) + "\x00", 400, 0, 0},
		{"line end in a text", batch(event("{\"a\":\"\r\n\"}")), 400, 0, 0},
		{"byte-order mark", "\ufeff" + batch(good), 400, 0, 0},
		{"UTF-16, little end first", asUTF16(batch(good), false), 400, 0, 0},
		{"UTF-16, big end first", asUTF16(batch(good), true), 400, 0, 0},
		{"several documents", batch(good) + batch(good), 400, 0, 0},
		{"several lines", batch(good) + "\n" + batch(good) + "\n", 400, 0, 0},
		{"comma at the end", `{"events":[` + good + `,]}`, 400, 0, 0},
		{"comment", `{"events":[/* */` + good + `]}`, 400, 0, 0},
		{"a form", `events=%5B%5D`, 400, 0, 0},

		{"100,000 events", batch(strings.Repeat(`{},`, 99_999) + `{}`), 200, 100_000, 100_000},
		{"250,001 events", batch(strings.Repeat(`1,`, 250_000) + `1`), 413, 0, 0},
		{"a text of 10 MB", batch(event(`{"a":"` + strings.Repeat("x", 10<<20) + `"}`)), 200, 1, 0},
		{"escapes, 10 MB of them", batch(event(`{"a":"` + strings.Repeat(`\u0061`, 10<<20/6) + `"}`)), 200, 1, 0},
		{"a key of 10 MB with escapes", batch(`{"` + strings.Repeat(`\u0061`, 10<<20/6) + `":1}`), 200, 1, 1},
		{"a text without end", `{"events":["` + strings.Repeat("x", 10<<20), 400, 0, 0},
		{"an event of 2 MB", batch(event(`{"a":"`+strings.Repeat("x", 2<<20)+`"}`), good), 200, 2, 0},
		{"an id of 1 MB", batch(`{"id":"` + strings.Repeat("x", 1<<20) + `","event_type":"t","user":{"user_id":"u"}}`), 200, 1, 0},
		{"a million keys", batch(event(`{` + strings.Repeat(`"a":1,`, 999_999) + `"a":1}`)), 200, 1, 0},
		{"blanks and nothing else", strings.Repeat(" \r\n\t", 1<<20), 200, 0, 0},
		{"blanks everywhere", strings.ReplaceAll(`{~"events"~:~[~`+good+`~,~`+good+`~]~}~`, "~", strings.Repeat(" \n", 500_000)), 200, 2, 0},
		{"blanks, more than a body may have", strings.Repeat(" ", 17<<20), 413, 0, 0},
	}
}

// TestHostileJSON sends bodies that come well but hold odd things. What is
// stored is the body as it came, to the byte, with the events given.
func TestHostileJSON(t *testing.T) {
	for _, tt := range append(firstJsonAttacks(), moreJsonAttacks()...) {
		t.Run(tt.name, func(t *testing.T) {
			s := besiege(t, Config{})
			// A buffer four times as large whenever one is full, a copy on
			// the shelf, and 130 bytes an event, grown by and by.
			most := 64<<20 + int64(min(strings.Count(tt.body, ","), 250_000))*640
			got := s.attack(t, post("", tt.body), most)
			require.Equal(t, []int{tt.status}, statuses(got))
			if tt.events == 0 {
				require.Zero(t, s.queues["a"].count())
				return
			}
			stored := s.last()
			require.True(t, tt.body == string(stored.Body), "stored is not what came")
			require.Len(t, stored.Items, tt.events)
			dead := 0
			for _, item := range stored.Items {
				if item.Fate == queue.Dead {
					dead++
				}
			}
			require.Equal(t, tt.dead, dead)
		})
	}
}
