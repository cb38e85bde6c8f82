package schemas_test

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// sample is a document of every kind, good and bad.
func sample(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for _, e := range load(t).Events {
		event := minimal(&e)
		out = append(out, marshal(t, event))
		event["id"] = nil
		event["new"] = 1
		out = append(out, marshal(t, event))
	}
	for _, tt := range casefile.Read(t, "testdata/messages.tsv", 3) {
		out = append(out, []byte(tt[2]))
	}
	return out
}

func TestConcurrentUse(t *testing.T) {
	docs := sample(t)
	verdicts := func(i int) [2]schemas.Verdict {
		return [2]schemas.Verdict{validator().Event(docs[i]), validator().Message(docs[i])}
	}
	want := make([][2]schemas.Verdict, len(docs))
	for i := range docs {
		want[i] = verdicts(i)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range docs {
				i = (i + worker*17) % len(docs)
				if got := verdicts(i); !reflect.DeepEqual(want[i], got) {
					t.Errorf("%s: %v, not %v", docs[i], got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestDeepNesting(t *testing.T) {
	const event = `{"event_type":"new","id":"a","time":1,"properties":%P}`
	deep := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	require.Equal(t, []string{"/properties type"}, places(validator().Event([]byte(replace(event, "%P", deep))).Errors))

	tooDeep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	require.Equal(t, []string{" invalid_json"}, places(validator().Event([]byte(tooDeep)).Errors))
}
