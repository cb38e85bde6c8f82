package schemas_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

func TestConcurrentUse(t *testing.T) {
	rows := casefile.Read(t, "testdata/messages.tsv", 3)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range rows {
				tt := rows[(i+worker*17)%len(rows)]
				if got := strings.Join(places(validator().Message([]byte(tt[2])).Errors), ", "); got != tt[1] {
					t.Errorf("%s: %s, not %s", tt[0], got, tt[1])
				}
			}
		})
	}
	wg.Wait()
}

func TestDeepNesting(t *testing.T) {
	const event = `{"event_type":"new","id":"a","time":1,"properties":%P}`
	for depth, want := range map[int]string{9_999: "/properties type", 10_000: " invalid_json", 1_000_000: " invalid_json"} {
		deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		require.Equal(t, []string{want}, places(validator().Event([]byte(replace(event, "%P", deep))).Errors))
	}
}
