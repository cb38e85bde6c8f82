package brazesource

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/fixtures"
	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// plainSeeds are the events of all fixtures and recorded cases, and some that are just
// plain or just not.
func plainSeeds(t testing.TB) (seeds []string) {
	t.Helper()
	files, err := filepath.Glob("../../fixtures/events/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		seeds = append(seeds, string(text))
	}
	cases, err := fixtures.BrazeSourceCases()
	require.NoError(t, err)
	for _, c := range cases {
		var request struct{ Events []json.RawMessage }
		_ = json.Unmarshal([]byte(c.Body), &request) // some cases are not requests
		for _, event := range request.Events {
			seeds = append(seeds, string(event))
		}
	}
	for _, properties := range []string{
		`{"a":1,"a":2}`, `{"device_model":1,"device_model":null}`, `{"toString":1,"valueOf":{"b":-0}}`, `{"Infinity":1}`, `{"_":0.10,"$":1e3,"é":1}`,
		`{"os_version":null,"platform":"","ad_id":"x"}`, `{"device_model":"m","ad_id":"x"}`, `{"n":[1.0,{"2":1,"1":"\u00e9\ud800"}]}`, `null`, `[1]`, `"ab"`,
		`{"a":-5,"b":123456789012345,"c":1234567890123456,"d":-0,"e":"\/"}`, `{"email_address":{"a":1},"to_phone_number":[]}`, `{"user_agent":1e400,"x":1e400}`, `{"x y":1,"x/y":1}`,
	} {
		seeds = append(seeds, `{"event_type":"t","time":1700000000,"user":{"user_id":"u","device_id":"d"},"properties":`+properties+`}`)
	}
	for _, user := range []string{
		`{"user_id":"","external_user_id":"x"}`, `{"user_id":null}`, `{"user_id":""}`, `{"user_id":5}`, `{"user_id":"a","user_id":"b"}`, `{"user.user_id":"u","user_id":"v"}`, `{"timezone":null,"device_id":"d","user_id":"u"}`, `[]`,
	} {
		seeds = append(seeds, `{"event_type":"t","id":"\u0041","user":`+user+`,"properties":{"ad_tracking_enabled":true}}`)
	}
	for _, head := range []string{
		`"time":0`, `"time":-5`, `"time":"5"`, `"time":5.5`, `"time":99999999999`, `"time":null`, `"id":null`, `"id":7,"id":8`, `"event_type":"x"`, `"properties.a":1`, `"user":{}`, `"extra":{"a":[1]}`, `"n\u0061me":1`,
	} {
		seeds = append(seeds, `{"event_type":"t","user":{"user_id":"u"},`+head+`,"properties":{"a":"b"}}`)
	}
	return append(seeds, `{"event_type":"toString","user":{"user_id":"u"}}`, `{"event_type":"constructor","user":{"user_id":"u"}}`,
		`{"event_type":"","user":{"user_id":"u"}}`, `{"event_type":5,"user":{"user_id":"u"}}`, `{}`, `{"event_type":"mapped","user":{"user_id":"u"}}`)
}

// agree compares the message of a plain event with that of the model of JavaScript's
// objects, and says whether the event is plain.
func agree(t *testing.T, m *Mapper, event string) (plain bool) {
	t.Helper()
	if !jsonlex.Valid(event) || !strings.HasPrefix(event, "{") {
		return false
	}
	one := transformation{mapper: m, limit: 1 << 30, Walker: jsonlex.Walker{Text: event}}
	if one.plain.read(&one.Walker, 0) == jsonlex.Bad {
		return false
	}
	m1 := made{raw: event}
	out, plain := m.plain(nil, &one.plain, &m1)
	if !plain {
		return false
	}
	one.add(out, m1)
	model := transformation{mapper: m, limit: 1 << 30}
	model.byModel(event)
	require.Equal(t, model.result().Messages, one.result().Messages, event)
	return true
}

func TestPlainEventsAgree(t *testing.T) {
	m, err := WithCustomMapping([]byte(`[{"from":"mapped","to":"Name \"é\""},{"from":"t","to":{"a":1}},{"from":"t","to":""}]`))
	require.NoError(t, err)
	plain := 0
	for _, event := range plainSeeds(t) {
		for _, m := range []*Mapper{m, New()} {
			if agree(t, m, event) {
				plain++
			}
		}
	}
	require.Greater(t, plain, 200, "nearly all that Braze sends is plain")
	files, err := filepath.Glob("../../fixtures/events/*.json")
	require.NoError(t, err)
	for _, event := range plainSeeds(t)[:len(files)] {
		require.True(t, agree(t, m, event), event)
	}
}

func FuzzPlainEventsAgree(f *testing.F) {
	for _, event := range plainSeeds(f) {
		f.Add(event)
	}
	m := New()
	f.Fuzz(func(t *testing.T, event string) { agree(t, m, event) })
}

func BenchmarkTransform(b *testing.B) {
	body := fmt.Sprintf(`{"events":[%s]}`, strings.Join(plainSeeds(b)[:80], ","))
	m := New()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Transform(body, limit); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*80/b.Elapsed().Seconds(), "events/s")
}
