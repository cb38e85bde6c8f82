package sourceloss_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/currents/currentstest"
	"github.com/currentsbridge/currentsbridge/bridge/sourceloss"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

const sane = `"event_type":"t","user":{"user_id":"u"}`

// of judges an event with these members beside a type and a user.
func of(members string) sourceloss.Loss {
	return sourceloss.Of([]byte(`{` + sane + `,` + members + `}`))
}

func TestWhatIsLostOfAnEvent(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/losses.tsv", 4) {
		require.Equal(t, sourceloss.Loss{Reason: currents.Reason(tt[0]), Changed: tt[1] == "true"}, of(tt[3]), tt[2])
	}
}

// TestProblemsOfEveryMode: what currents calls a problem is one here, but that the
// source takes a redacted id and knows keys that are the whole path to an id.
func TestProblemsOfEveryMode(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/problems.tsv", 3) {
		require.Equal(t, sourceloss.Loss{Reason: currents.Reason(tt[0]), Changed: tt[1] == "true"}, sourceloss.Of([]byte(tt[2])), tt[2])
	}
	require.Equal(t, sourceloss.Loss{Reason: currents.NotAnObject}, sourceloss.Of(nil))
}

func TestPropertyKeysAsPaths(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/paths.tsv", 2) {
		for _, around := range []string{`"properties":{"%s":1}`, `"properties":{"c":2,"%s":{"x":1},"d":3}`} {
			loss := of(fmt.Sprintf(around, tt[1]))
			require.Equal(t, strings.Contains(tt[0], "path"), loss.Changed, "key %s", tt[1])
			require.Equal(t, strings.Contains(tt[0], "unsafe"), loss.Reason == sourceloss.UnsafeKey, "key %s", tt[1])
			require.Equal(t, strings.Contains(tt[0], "large"), loss.Reason == sourceloss.LargeIndex, "key %s", tt[1])
		}
	}
}

// TestValuesThatChange: ids that are trimmed, event types that are lost, numbers that
// are rounded.
func TestValuesThatChange(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/changes.tsv", 2) {
		require.Equal(t, tt[0] == "true", of(tt[1]).Changed, tt[1])
	}
	for _, escape := range []string{"", `\n`} {
		require.True(t, of(`"properties":{"a":"`+escape+"\xff\"}").Changed, "what is no UTF-8")
	}
}

// TestEventsThatMakeJavaScriptThrow: the source drops them silently, so they must not
// be sent to it.
func TestEventsThatMakeJavaScriptThrow(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/throws.tsv", 3) {
		require.Equal(t, tt[0] == "true", of(tt[2]).Reason == sourceloss.UnsafeKey, tt[1])
	}
}

func TestDepth(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }
	for members, want := range map[string]currents.Reason{
		`"properties":{"custom_properties":` + nested(3998) + `}`: "", `"properties":{"a":` + nested(3999) + `}`: sourceloss.TooDeep,
		`"properties":{"a":` + nested(20_000) + `}`: sourceloss.TooDeep, `"elsewhere":` + nested(3999): "", `"elsewhere":` + nested(4000): sourceloss.TooDeep,
		`"user":{"user_id":"u","a":` + nested(3999) + `}`: sourceloss.TooDeep,
	} {
		require.Equal(t, want, of(members).Reason, members[:90])
	}
}

// FuzzOf judges anything that is valid, and never panics.
func FuzzOf(f *testing.F) {
	for _, tt := range casefile.Read(f, "testdata/throws.tsv", 3) {
		f.Add([]byte(`{` + sane + `,` + tt[2] + `}`))
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
