package mockrudder_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// A request with all errors is refused for one after the other, in the order in which
// RudderStack checks: each case has one mistake less than the one before.
func TestOrderOfDecisions(t *testing.T) {
	for path, stored := range map[string]int{"webhook": 3, "batch": 4, "beacon": 4} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, mockrudder.WithRateLimit(1, time.Second))
			require.NoError(t, s.Fault(mockrudder.Fault{Transformer: mockrudder.TransformerError, Nth: 8, Path: "/v1/webhook"}))
			for _, c := range answerCases(t, "order-"+path) {
				if c.Rested {
					time.Sleep(time.Minute)
				}
				c.require(t, s)
			}
			require.Len(t, s.Events(mockrudder.Filter{}), stored)
		})
	}
}

// The rate limit applies to every path. The pixel answers as before but stores nothing.
func TestRateLimitOfAllPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, mockrudder.WithRateLimit(1, time.Second))
		for range 2 {
			require.Equal(t, "200 ok", probe{path: batchPath, key: "wkHTTP", body: goodBatch}.answer(t, s))
		}
		for path, body := range map[string]string{
			batchPath: goodBatch, "/v1/import": goodBatch, "/v1/track": `{"userId":"u"}`, "/v1/identify": `{"userId":"u"}`,
			"/beacon/v1/batch?writeKey=wkHTTP": goodBatch, webhookPath: brazeEvent(`{}`),
		} {
			require.Equal(t, "429 max requests limit reached", probe{path: path, key: "wkHTTP", body: body}.answer(t, s), path)
		}
		require.Equal(t, 200, probe{method: http.MethodGet, path: "/pixel/v1/track?writeKey=wkHTTP&userId=u&event=E"}.send(s).Code)
		require.Len(t, s.Events(mockrudder.Filter{}), 2)
		for _, path := range []string{"/health", "/version", "/robots.txt", "/_mock/stats"} {
			require.Equal(t, 200, probe{method: http.MethodGet, path: path}.send(s).Code, path)
		}
	})
}
