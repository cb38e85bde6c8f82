package mapping_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/schemas"
)

func mapped(event string) string {
	return string(mapping.Plain().AppendMessage(nil, []byte(event), "fallback"))
}

// The parts that every message has, between which the others stand.
const (
	context = `{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}`
	track   = `},"integrations":{"Braze":false},"type":"track"`
)

// TestRules maps small events and looks at what lies behind the fixed parts.
func TestRules(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/rules.tsv", 4) {
		t.Run(tt[0], func(t *testing.T) {
			got := mapped(tt[3])
			require.Equal(t, context+tt[1]+track+tt[2]+"}", got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

// TestCalls: identify and alias calls, and what stays a track call.
func TestCalls(t *testing.T) {
	v, err := schemas.NewValidator()
	require.NoError(t, err)
	for _, tt := range casefile.Read(t, "testdata/calls.tsv", 5) {
		opts := mapping.Options{}
		require.NoError(t, json.Unmarshal([]byte(tt[2]), &opts), tt[0])
		got := newMapper(t, opts).Append(nil, []byte(tt[4]), "fallback")
		require.Equal(t, context+withHashes(tt[3]), string(got), tt[0])
		require.Equal(t, tt[1] == "true", v.Message(got).Valid, tt[0])
	}
}

func TestFallbackID(t *testing.T) {
	mapper := mapping.Plain()
	for _, fallback := range []string{"a", "rec/7-3", "quote\" backslash\\ control\x00\x1f\n é😀"} {
		var message struct {
			MessageID string `json:"messageId"`
		}
		require.NoError(t, json.Unmarshal(mapper.AppendMessage(nil, []byte(`{}`), fallback), &message))
		require.Equal(t, fallback, message.MessageID)
	}
	require.Equal(t, context+track+`}`, string(mapper.AppendMessage(nil, []byte(`{"id":""}`), "")))
}

// TestDeepNesting: reading each level again would take hours here.
func TestDeepNesting(t *testing.T) {
	const depth = 1 << 19
	open, closed := strings.Repeat("[", depth), strings.Repeat("]", depth)
	event := `{"id":"i","time":` + open + `1700000000` + closed + `,"user":{"user_id":` + open + closed + `},"properties":{"platform":` + open + closed + `,"a":` + open + closed + `}}`
	want := context + `,"os":{"name":` + open + closed + `}` + track + `,"messageId":"i","anonymousId":` + open + closed +
		`,"timestamp":"2023-11-14T22:13:20.000Z","properties":{"a":` + open + closed + `}}`
	require.True(t, mapped(event) == want) // without a listing of megabytes
}

func TestTimestamp(t *testing.T) {
	for _, tt := range casefile.Read(t, "testdata/timestamps.tsv", 2) {
		message := context + track + `,"messageId":"fallback"`
		if tt[0] != "" {
			message += `,"timestamp":"` + tt[0] + `"`
		}
		require.Equal(t, message+"}", mapped(`{"time":`+tt[1]+`}`), "time %s", tt[1])
	}
	require.Equal(t, context+track+`,"messageId":"fallback"}`, mapped(`{"time":1,"time":null}`))
}
