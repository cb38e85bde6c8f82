package mapping_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestFilterByType(t *testing.T) {
	patterns := func(column string) []string {
		return strings.FieldsFunc(column, func(r rune) bool { return r == '|' })
	}
	for _, tt := range casefile.Read(t, "testdata/types.tsv", 4) {
		m := newMapper(t, mapping.Options{Filter: mapping.Filter{Allow: patterns(tt[1]), Deny: patterns(tt[2])}})
		for range 2 { // the second time it is known
			for _, event := range []string{
				`{"event_type":%s}`, `{"event\u005ftype":%s,"user":{"user_id":"u"}}`, `{"event_type":"x","properties":{"event_type":"y"},"event_type":%s}`,
			} {
				require.Equal(t, tt[0] == "true", m.Keeps(fmt.Appendf(nil, event, tt[3])), tt)
			}
		}
		for _, unusual := range []string{``, `5`, `[]`, `"x"`} {
			require.True(t, m.Keeps([]byte(unusual)), "what is no event becomes a dead letter, not filtered: %s", unusual)
		}
	}
}

func TestFilterByProperties(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/filters.tsv", 4) {
		holds, rules := tt[0] == "true", map[string][]string{tt[1]: strings.Split(tt[2], "|")}
		event := []byte(`{"event_type":"t","properties":{"n":5},"user":{"app_id":"a"},"properties":` + tt[3] + `}`)
		require.Equal(t, holds, newMapper(t, mapping.Options{Filter: mapping.Filter{AllowProperties: rules}}).Keeps(event), tt)
		require.Equal(t, !holds, newMapper(t, mapping.Options{Webhook: true, Filter: mapping.Filter{DenyProperties: rules}}).Keeps(event), tt)
	}
	two := map[string][]string{"a": {"1"}, "b": {"2"}}
	all := newMapper(t, mapping.Options{Filter: mapping.Filter{AllowProperties: two}})
	any := newMapper(t, mapping.Options{Filter: mapping.Filter{DenyProperties: two}})
	for properties, want := range map[string]struct{ all, none bool }{
		`{"a":1,"b":2}`: {true, false}, `{"a":1}`: {false, false}, `{"b":2}`: {false, false}, `{"a":2,"b":1}`: {false, true},
	} {
		event := []byte(`{"properties":` + properties + `}`)
		require.Equal(t, want.all, all.Keeps(event), properties)
		require.Equal(t, want.none, any.Keeps(event), properties)
	}
}

// TestFilterIsSharedSafely filters more types than are remembered, from many
// goroutines at once.
func TestFilterIsSharedSafely(t *testing.T) {
	m := newMapper(t, mapping.Options{Filter: mapping.Filter{Allow: []string{"yes.*"}}})
	long := strings.Repeat("x", 1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				yes, no := fmt.Sprintf(`{"event_type":"yes.%d"}`, i), fmt.Sprintf(`{"event_type":"no.%d"}`, i)
				if !m.Keeps([]byte(yes)) || m.Keeps([]byte(no)) || !m.Keeps([]byte(`{"event_type":"yes.`+long+`"}`)) || m.Keeps([]byte(`{"event_type":"`+long+`"}`)) {
					t.Error("wrong at", i)
					return
				}
			}
		})
	}
	wg.Wait()
}
