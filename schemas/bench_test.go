package schemas

import (
	"bytes"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkValidate judges the event of a click in an email, of a good kilobyte,
// and the message that becomes of it: by the bytes, and as it would be with
// gojsonschema alone.
func BenchmarkValidate(b *testing.B) {
	v, err := agreeing()
	require.NoError(b, err)
	var event, message bytes.Buffer
	require.NoError(b, json.Compact(&event, fixtureTexts(b, "events")["users.messages.email.Click.json"]))
	require.NoError(b, json.Compact(&message, fixtureTexts(b, "messages")["users.messages.email.Click.json"]))
	for _, by := range []struct {
		name           string
		event, message func([]byte) Verdict
	}{
		{"fast", v.Event, v.Message},
		{"gojsonschema", v.decodeEvent, v.decodeMessage},
	} {
		for _, of := range []struct {
			name  string
			judge func([]byte) Verdict
			raw   []byte
		}{{"event", by.event, event.Bytes()}, {"message", by.message, message.Bytes()}} {
			b.Run(by.name+"/"+of.name, func(b *testing.B) {
				require.True(b, of.judge(of.raw).Valid)
				b.SetBytes(int64(len(of.raw)))
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					of.judge(of.raw)
				}
				b.ReportMetric(float64(b.N)/(cpuTime()-before).Seconds(), "events/CPU-s")
			})
		}
	}
}

// cpuTime is what the process has used, the collector's work too. Unlike the
// time of day it is the same on a machine that others use.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
