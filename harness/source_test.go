package harness_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
)

// The bridge's mapping against RudderStack's own Braze source: on every event
// that Braze documents both make the same message. TestWhereMappingAndSourceDiffer
// lists, one by one, what the bridge does otherwise on purpose.

// bothMap returns what the bridge and what RudderStack's source make of an
// event; nil: the bridge dead-letters it, or the source drops it.
func bothMap(t *testing.T, body []byte, event currents.Event) (bridge, source any) {
	var err error
	if event.Problem() == "" {
		message := mapping.Plain().AppendMessage(nil, body[event.Start:event.End], "")
		bridge, err = oracle.Decode(message)
		require.NoError(t, err, "%s", message)
	}
	result, err := brazesource.New().Transform(string(body), math.MaxInt)
	if err == nil && len(result.Messages) == 1 {
		source, err = oracle.Decode([]byte(result.Messages[0].JSON))
		require.NoError(t, err, result.Messages[0].JSON)
	}
	return bridge, source
}

func TestMappingAgainstSourceOverTheGlossary(t *testing.T) {
	rounds, err := journey.New(journey.Config{Glossary: journeytest.Glossary(t), Population: population.New(population.Config{Seed: 11}), Seed: 11})
	require.NoError(t, err)
	for i := range uint64(12 * len(rounds.Types())) { // ten of a type show every field
		text := rounds.Append(nil, i)
		body, event, ok := scanEvent(text)
		require.True(t, ok, "%s", text)
		bridge, source := bothMap(t, body, event)
		if !bytes.Contains(text, []byte(`user_id":"`)) { // it has no user
			require.Nil(t, bridge, "%s", text)
			require.Nil(t, source, "%s", text)
			continue
		}
		require.NotNil(t, bridge, "%s", text)
		require.Empty(t, oracle.Diff(source, bridge, oracle.Float, 5), "%s", text)
	}
}

func TestWhereMappingAndSourceDiffer(t *testing.T) {
	cases := strings.Split(casefile.Text(t, "testdata/differing.txt"), "\n\n")[1:]
	require.NotEmpty(t, cases)
	for _, lines := range cases {
		differing := strings.Split(strings.TrimSpace(lines), "\n") // name, event, message of the bridge, of the source
		t.Run(differing[0], func(t *testing.T) {
			body, event, ok := scanEvent([]byte(differing[1]))
			require.True(t, ok)
			bridge, source := bothMap(t, body, event)
			for i, got := range []any{bridge, source} {
				if want := differing[2+i]; want == "none" {
					require.Nil(t, got)
				} else {
					decoded, err := oracle.Decode([]byte(want))
					require.NoError(t, err)
					require.Empty(t, oracle.Diff(decoded, got, oracle.Exact, 5))
				}
			}
			if mustAgree([]byte(differing[1])) { // but for how a number is written
				require.Empty(t, oracle.Diff(source, bridge, oracle.Float, 5), "the fuzz test must not expect agreement here")
			}
		})
	}
}

func FuzzMappingAgainstSource(f *testing.F) {
	seedEvents(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		body, event, ok := scanEvent(text)
		if !ok {
			return
		}
		if _, err := oracle.Decode(body); err != nil {
			return // deeper than this test reads
		}
		bridge, source := bothMap(t, body, event)
		if sourceloss.Of(body[event.Start:event.End]).Reason == "" {
			require.NotNil(t, source, "in webhook mode the bridge sends what RudderStack drops: %s", text)
		}
		if mustAgree(text) {
			require.Empty(t, oracle.Diff(source, bridge, oracle.Float, 5), "%s", text)
		}
	})
}

var (
	// pathlike keys are not taken as they are by RudderStack's source: a path
	// with several segments, a whole number, nothing at all, or unsafe.
	pathlike = regexp.MustCompile(`[./\\]|^\s*$|^[\s\p{Z}\x{feff}]*[-+0-9]|^(__proto__|constructor|prototype)$`)
	// inherited are names that every JavaScript object has.
	inherited = regexp.MustCompile(`^(__.*__|constructor|hasOwnProperty|isPrototypeOf|propertyIsEnumerable|toLocaleString|toString|valueOf)$`)
)

// mustAgree says whether an event has none of the shapes that
// TestWhereMappingAndSourceDiffer lists, up to how a number is written.
func mustAgree(text []byte) bool {
	decoded, err := oracle.Decode(text)
	if err != nil || !utf8.Valid(text) || strings.Contains(string(text), "\ufffd") {
		return false
	}
	v, ok := decoded.(map[string]any)
	if !ok {
		return true // neither takes it
	}
	name, _ := v["event_type"].(string)
	_, isList := v["event_type"].([]any) // as text it may be one of those names
	if isList || inherited.MatchString(name) || anyKey(v, func(key string) bool { return strings.ContainsAny(key, `.\`) }) {
		return false
	}
	_, differs := oracle.Timestamp(v["time"])
	user, _ := v["user"].(map[string]any)
	return !differs && !strings.Contains(string(text), "[REDACTED]") && plainID(v["id"]) && !blank(user["user_id"]) && !blank(user["external_user_id"]) &&
		plainProperties(v["properties"]) && json.Unmarshal(text, new(any)) == nil // no number is beyond all bounds
}

func plainID(id any) bool {
	text, isText := id.(string)
	return id == nil || isText && strings.TrimSpace(text) != ""
}

func blank(id any) bool {
	text, isText := id.(string)
	return isText && text != "" && strings.TrimSpace(text) == ""
}

func plainProperties(v any) bool {
	object, isObject := v.(map[string]any)
	_, isList := v.([]any)
	return v == nil || isList || isObject && !anyKey(object, pathlike.MatchString)
}

func anyKey(object map[string]any, is func(string) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(object)), is)
}
