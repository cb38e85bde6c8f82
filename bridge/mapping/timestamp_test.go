package mapping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

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
