package mockbraze

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAcceptedIsNeverSentAgain(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 299} {
		inBubble(t, always(status), Current{}, func(t *testing.T, e *endpoint, c *Connector) {
			require.NoError(t, c.SendEvents(t.Context(), opens(100)...))
			pass(24 * time.Hour)
			require.Len(t, e.batches(), 1, "status %d", status)
			require.EqualValues(t, 100, c.Report().Counts.Sent)
			consistent(t, c.Report())
		})
	}
}

// TestRejectedBatchesAreSplit: into single events after 400, in halves after 413. An
// event that is rejected alone is dropped for good.
func TestRejectedBatchesAreSplit(t *testing.T) {
	for status, want := range map[int]struct {
		reason Reason
		most   int   // as many events are taken at a time
		sizes  []int // of the first requests
		split  int64
	}{
		400: {Refused, 100, []int{100, 1, 1, 1, 1, 1, 1, 1}, 1},
		413: {TooLarge, 15, []int{100, 50, 50, 25, 25, 25, 25, 13, 12}, 11},
	} {
		refuse := answerIf(status, func(r request) bool { return len(r.ids) > want.most || slices.Contains(r.ids, "e042") })
		inBubble(t, refuse, Current{Connections: 1}, func(t *testing.T, e *endpoint, c *Connector) {
			requireFailed(t, c.SendEvents(t.Context(), opens(100)...), ErrDropped, Outcome{Acked: 99, Dropped: map[Reason]int{want.reason: 1}})
			var sizes []int
			var ids []string
			for _, r := range e.batches() {
				sizes, ids = append(sizes, len(r.ids)), append(ids, r.ids...)
			}
			require.Equal(t, want.sizes, sizes[:len(want.sizes)])
			require.Equal(t, ids[:100], ids[100:200], "in order")
			pass(24 * time.Hour)
			require.Len(t, e.batches(), len(sizes), "the rejected event is not sent again")
			r := c.Report()
			require.Equal(t, want.split, r.Counts.Split)
			require.Equal(t, map[Reason]int64{want.reason: 1}, r.Dropped)
			consistent(t, r)
		})
	}
}

// TestDeniedDropsWhatFailedAndHoldsTheRest: Braze sends the events of that request
// no more, and those behind them once the credentials are right.
func TestDeniedDropsWhatFailedAndHoldsTheRest(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		inBubble(t, always(status), Current{Token: "old", Contact: "ops@example.com", Connections: 1}, func(t *testing.T, e *endpoint, c *Connector) {
			err := c.SendEvents(t.Context(), opens(250)...)
			require.ErrorIs(t, err, ErrHeld)
			require.Equal(t, Held, c.State())
			pass(4 * 24 * time.Hour)
			require.Len(t, e.batches(), 1, "nothing is tried by itself")
			r := c.Report()
			require.EqualValues(t, 150, r.Counts.Queued)
			require.EqualValues(t, 150, r.ByType["users.messages.email.Open"].Queued, "also those that are in batches")
			require.Equal(t, map[Reason]int64{Unauthorized: 100}, r.Dropped)
			require.Len(t, r.Mails, 1)
			require.Equal(t, "ops@example.com", r.Mails[0].To)

			// The probe fails still: it stays held.
			e.probe = status
			var refused *LaunchError
			require.ErrorAs(t, c.Launch(t.Context()), &refused)
			require.Equal(t, status, refused.Answer.Status)
			require.Equal(t, Held, c.State())

			e.probe = 200
			e.say(always(200))
			require.NoError(t, c.SetCredentials("http://bridge.example/new", "new"))
			require.NoError(t, c.Launch(t.Context()))
			synctest.Wait()
			r = c.Report()
			require.EqualValues(t, 150, r.Counts.Sent)
			require.Nil(t, r.TroubleSince)
			batches := e.batches()
			require.Len(t, batches, 3)
			require.NotContains(t, batches[1].body, `"e000"`, "what failed is not sent again")
			require.Equal(t, "Bearer old", batches[0].header.Get("Authorization"))
			require.Equal(t, "Bearer new", batches[1].header.Get("Authorization"))
			require.Equal(t, "http://bridge.example/new", batches[1].url)
			consistent(t, r)
		})
	}
}

func TestEverythingElseIsSentAgainTheSame(t *testing.T) {
	waits := make(map[float64]bool) // as a part of the longest wait
	// 0: no connection; -1: no answer in time.
	for _, status := range []int{429, 500, 502, 503, 504, 302, 307, 402, 405, 410, 418, 422, 0, -1} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{}
			e.answer = func(request) int {
				if len(e.requests) <= 8 { // the probe and seven failures
					return status
				}
				return 200
			}
			const timeout = 10 * time.Second
			c := e.launch(t, Current{Timeout: timeout, Backoff: Backoff{First: time.Second, Max: 20 * time.Second}})
			require.NoError(t, c.SendEvents(t.Context(), opens(30)...))
			batches := e.batches()
			require.Len(t, batches, 8, "status %d", status)
			for i, full := range []time.Duration{1, 2, 4, 8, 16, 20, 20} {
				require.True(t, batches[0].body == batches[i+1].body, "not the same bytes")
				gap := batches[i+1].at.Sub(batches[i].at)
				if status < 0 {
					gap -= timeout
				}
				require.GreaterOrEqual(t, gap, full*time.Second/2, "status %d, wait %d", status, i)
				require.LessOrEqual(t, gap, full*time.Second, "status %d, wait %d", status, i)
				waits[(gap / full).Seconds()] = true
			}
			r := c.Report()
			require.EqualValues(t, 7*30, r.Counts.Retried)
			require.EqualValues(t, 0, r.Counts.Split)
			require.Empty(t, r.Mails)
			consistent(t, r)
		})
	}
	require.Greater(t, len(waits), 5, "there is jitter")
	require.LessOrEqual(t, Backoff{time.Second, time.Minute}.wait(500, rand.New(rand.NewPCG(1, 2))), time.Minute, "it does not overflow")
}

func TestOneBadBatchDoesNotHoldUpOthers(t *testing.T) {
	refuse := answerIf(503, func(r request) bool { return r.types[0] == "users.messages.email.Open" })
	inBubble(t, refuse, Current{Connections: 2}, func(t *testing.T, e *endpoint, c *Connector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c.Queue(opens(100)...)
		require.NoError(t, c.SendEvents(ctx, Event{Raw: []byte(`{"event_type":"other","id":"1"}`)}))
		require.EqualValues(t, 1, c.Report().Counts.Sent)
	})
}

// TestAnswersToOldRequestsDoNotHold launches again while a request with the
// old token is in flight.
func TestAnswersToOldRequestsDoNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		slow.Store(true)
		e := &endpoint{answer: always(200)}
		c := e.launch(t, Current{Connections: 1, Token: "old", OnSend: func([]Event) {
			if slow.Load() {
				time.Sleep(time.Minute)
			}
		}})
		e.say(func(r request) int {
			if slow.CompareAndSwap(true, false) {
				return 401 // the answer to the request of before
			}
			return 200
		})
		c.Queue(opens(100)...)
		time.Sleep(time.Second)
		require.NoError(t, c.Launch(t.Context()))
		pass(2 * time.Minute)
		require.Equal(t, Running, c.State())
		require.Equal(t, map[Reason]int64{Unauthorized: 100}, c.Report().Dropped)
	})
}

const day = 24 * time.Hour

func TestDisabledAfterFiveDaysOfTrouble(t *testing.T) {
	for _, status := range []int{503, 0, 401} {
		inBubble(t, always(status), Current{Connections: 1, Backoff: Backoff{Max: 6 * time.Hour}}, func(t *testing.T, e *endpoint, c *Connector) {
			lost := map[Reason]int64{Disabled: 7}
			if status == 401 {
				lost[Unauthorized] = 100
				c.Queue(opens(100)...)
			}
			c.Queue(opens(100)...)
			pass(5*day - time.Minute)
			c.Queue(opens(3)...) // they are in no batch yet when the Current is disabled
			require.NotEqual(t, Stopped, c.State(), "status %d", status)
			pass(2 * time.Minute)
			require.Equal(t, Stopped, c.State(), "status %d", status)
			tried := len(e.batches())

			// New events are lost, the old ones are kept.
			e.say(always(200))
			err := c.SendEvents(t.Context(), opens(7)...)
			require.ErrorIs(t, err, ErrDropped)
			r := c.Report()
			require.Equal(t, lost, r.Dropped)
			require.EqualValues(t, 103, r.Counts.Queued)
			require.NotEmpty(t, r.Mails)

			// A pause would keep them for ever.
			answer := control(t, c.server.Handler(), 409, "POST", "/api/currents/1/pause", "")
			require.Contains(t, answer["what_to_do"], "/api/currents/1/launch")
			require.ErrorIs(t, c.Pause(), ErrDisabled)
			require.Equal(t, Stopped, c.State())

			pass(7*day - 5*time.Minute)
			require.EqualValues(t, 103, c.Report().Counts.Queued)
			require.Len(t, e.batches(), tried, "nothing is sent while disabled")
			pass(10 * time.Minute)
			r = c.Report()
			lost[Expired] = 103
			require.Equal(t, lost, r.Dropped)
			require.EqualValues(t, 0, r.Counts.Queued)
			consistent(t, r)
		})
	}
}

// TestTroubleEnds: the five days begin anew after a 2XX and end with a pause, and what a
// disabled Current kept is sent once it is launched within seven.
func TestTroubleEnds(t *testing.T) {
	inBubble(t, always(503), Current{Backoff: Backoff{Max: time.Hour}}, func(t *testing.T, e *endpoint, c *Connector) {
		c.Queue(opens(100)...)
		time.Sleep(4 * day)
		e.say(always(200))
		pass(time.Hour)
		require.Nil(t, c.Report().TroubleSince)
		e.say(always(503))
		c.Queue(opens(130)...)
		pass(4 * day)
		require.Equal(t, Running, c.State())
		require.NotNil(t, c.Report().TroubleSince)
		pass(7 * day)
		require.Equal(t, Stopped, c.State())
		e.say(always(200))
		require.NoError(t, c.Launch(t.Context()))
		pass(time.Hour)
		require.EqualValues(t, 230, c.Report().Counts.Sent)
		require.Equal(t, Running, c.State())
		e.say(always(503))
		c.Queue(opens(100)...)
		pass(time.Hour)
		require.NotNil(t, c.Report().TroubleSince)
		require.NoError(t, c.Pause())
		pass(7 * day)
		require.Equal(t, Paused, c.State(), "what is paused is not disabled")
	})
}

func TestQueuesFlushWhenFullOrOld(t *testing.T) {
	inBubble(t, nil, Current{FlushAfter: 7 * time.Minute}, func(t *testing.T, e *endpoint, c *Connector) {
		begin := time.Now()
		c.Queue(opens(99)...)
		synctest.Wait()
		require.Empty(t, e.batches())
		require.Equal(t, map[string]int{"users.messages.email.Open": 99}, c.Report().Queues)

		time.Sleep(time.Minute)
		c.Queue(opens(1)...)
		synctest.Wait()
		require.Len(t, e.batches(), 1, "a full batch goes at once")
		require.Len(t, e.batches()[0].ids, 100)

		c.Queue(opens(30)...)
		time.Sleep(2 * time.Minute)
		c.Queue(Event{Type: "other", Raw: []byte(`{"event_type":"other","id":"x"}`)})
		c.Queue(opens(5)...)
		pass(5*time.Minute - time.Second)
		require.Len(t, e.batches(), 1)
		pass(2 * time.Second)
		batches := e.batches()
		require.Len(t, batches, 2, "the oldest event waited long enough, the other queue's did not")
		require.Len(t, batches[1].ids, 35)
		require.Equal(t, 8*time.Minute, batches[1].at.Sub(begin).Round(time.Second))
		pass(3 * time.Minute)
		require.Len(t, e.batches(), 3)
		require.Equal(t, []string{"other"}, e.batches()[2].types)
	})
}

// TestRateMakesEventsHappen, but not in a pause, which keeps what is queued.
func TestRateMakesEventsHappen(t *testing.T) {
	inBubble(t, nil, Current{Rate: 20, FlushAfter: time.Minute}, func(t *testing.T, e *endpoint, c *Connector) {
		pass(10*time.Minute + time.Second)
		require.InDelta(t, 20*600, c.Report().Counts.Events, 60)
		require.Positive(t, c.Report().Counts.Sent)
		require.NoError(t, c.Pause())
		require.ErrorIs(t, c.Send(t.Context(), 5), ErrNotLaunched)
		c.Queue(opens(100)...)
		synctest.Wait() // for what is in flight
		was, tried := c.Report().Counts.Events, len(e.batches())
		pass(30 * day)
		require.Equal(t, was, c.Report().Counts.Events, "nothing happens while paused")
		require.Len(t, e.batches(), tried)
		require.Equal(t, Paused, c.State())
		require.NoError(t, c.Launch(t.Context()))
		pass(time.Minute)
		require.InDelta(t, 1200, c.Report().Counts.Events-was, 30, "no burst for the time of the pause")
		require.NoError(t, c.SetRate(0))
		was = c.Report().Counts.Events
		pass(time.Hour)
		require.Equal(t, was, c.Report().Counts.Events)
		consistent(t, c.Report())
	})
}

// Neither the token nor the write key comes back, though the endpoint repeats
// both and the connection's error holds the URL.
func TestSecretsNeverComeBack(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.URL.RawQuery, r.Header.Get("Authorization"))
	}))
	defer echo.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	for _, to := range []string{echo.URL, dead.URL} {
		h := Start(t).Handler()
		body := `{"url":"` + to + `/v1?writeKey=wk-s3cret&your_app_group_key=Brand%20A","token":"t-s3cret"}`
		for _, c := range [][3]string{
			{"POST", "/api/currents", body}, {"POST", "/api/currents/test", body}, {"POST", "/api/currents/1/test"},
			{"POST", "/api/currents/1/launch"}, {"GET", "/api/currents"}, {"GET", "/api/currents/1"},
			{"POST", "/api/currents/1/launch", `{"url":"ftp://x?writeKey=wk-s3cret"}`}, {"POST", "/api/currents", `{"url":"http://%zz?writeKey=wk-s3cret"}`},
		} {
			text, err := json.Marshal(control(t, h, 0, c[0], c[1], c[2]))
			require.NoError(t, err)
			require.NotContains(t, string(text), "s3cret", "%s %s", c[0], c[1])
		}
		answer := control(t, h, 200, "GET", "/api/currents/1", "")
		require.Contains(t, answer["url"], "writeKey=****&your_app_group_key=Brand%20A")
	}
}

func TestDeleteEndsACurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(503)}
		s := e.open(t)
		c := s.Launch(Current{URL: "http://x.example"})
		c.Queue(opens(100)...)
		time.Sleep(time.Minute)
		require.True(t, s.Delete(c.ID()))
		require.False(t, s.Delete(c.ID()))
		synctest.Wait()
		tried := len(e.batches())
		pass(day)
		require.Len(t, e.batches(), tried)
		require.ErrorIs(t, c.Send(t.Context(), 1), ErrClosed)
		next, err := s.Create(Current{URL: "http://x.example"})
		require.NoError(t, err)
		require.Equal(t, "2", next.ID(), "an id is not given twice")
	})
}

// TestTestCurrentsShareAQuota: ten a workspace, and 1,500 events a day together. What
// is to be retried is within the quota still.
func TestTestCurrentsShareAQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := map[string]bool{}
		e := &endpoint{answer: answerIf(503, func(r request) bool {
			again := refused[r.body]
			refused[r.body] = true
			return !again // each batch once
		})}
		s := e.open(t)
		var all []*Connector
		for range MaxTestCurrents {
			all = append(all, s.Launch(Current{URL: "http://x.example", TestCurrent: true, Events: []string{"users.canvas.Entry"}}))
		}
		_, err := s.Create(Current{URL: "http://x.example", TestCurrent: true})
		require.ErrorContains(t, err, "at most 10")
		real := s.Launch(Current{URL: "http://x.example"})

		time.Sleep(time.Hour) // synctest begins at midnight UTC
		require.NoError(t, all[0].Send(t.Context(), 1000))
		requireFailed(t, all[1].Send(t.Context(), 620), ErrQuota, Outcome{Acked: 500, Pending: 120})
		require.ErrorIs(t, all[2].Send(t.Context(), 1), ErrQuota)
		require.NoError(t, real.Send(t.Context(), 3000), "others go on")
		r := all[1].Report()
		require.Equal(t, time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC), r.QuotaUntil.UTC())
		sent := len(e.batches())
		pass(23*time.Hour - time.Minute)
		require.Len(t, e.batches(), sent)
		pass(2 * time.Minute)
		r = all[1].Report()
		require.EqualValues(t, 620, r.Counts.Sent)
		require.Nil(t, r.QuotaUntil)
		consistent(t, r)
	})
}

// TestLaunchFailsWhereTLSDoes: what is not trusted will never take a batch.
func TestLaunchFailsWhereTLSDoes(t *testing.T) {
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	secure, plain := httptest.NewUnstartedServer(handler), httptest.NewServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	defer plain.Close()
	s := Start(t)
	for _, url := range []string{secure.URL, strings.Replace(plain.URL, "http:", "https:", 1)} {
		c, err := s.Create(Current{URL: url})
		require.NoError(t, err)
		var failed *LaunchError
		require.ErrorAs(t, c.Launch(t.Context()), &failed)
		require.ErrorContains(t, failed, "TLS fails")
		require.Equal(t, Draft, c.State())
		require.Equal(t, denied, failed.Answer.ofProbe(HTTP))
	}
}

func TestSendTestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kind, want := range map[Kind]int{HTTP: 102, RudderStack: 100} {
			e := &endpoint{answer: answerIf(400, func(r request) bool { return r.types[0] == "users.canvas.Entry" })}
			c, err := e.open(t).Create(Current{URL: "http://x.example", Kind: kind})
			require.NoError(t, err)
			sent, err := c.SendTestEvents(t.Context())
			require.NoError(t, err)
			types := make(map[string]bool)
			for _, r := range e.batches() {
				require.Len(t, r.ids, 1)
				types[r.types[0]] = true
			}
			require.Len(t, types, sent.Events, "one of each type")
			require.Equal(t, want, sent.Events, "of %s", kind)
			require.Equal(t, want-1, sent.Accepted)
			require.Len(t, sent.Answers, want)
			require.Equal(t, Draft, c.State())
			require.EqualValues(t, want, c.Report().Counts.TestEvents)
		}
	})
}

func TestFieldTransformations(t *testing.T) {
	inBubble(t, nil, Current{Transforms: map[string]Transform{"email_address": Hash, "device_id": Remove, "name": Remove}}, func(t *testing.T, e *endpoint, c *Connector) {
		raw := `{"event_type":"x","id":"1","name":"stays","properties":{"email_address":"a\u0040b.c","email_addresses":"x","name":{"name":"stays"},"list":[{"name":"stays"}]},` +
			` "user" : {"device_id": "d" ,"timezone":null,"email_address":null}}`
		require.NoError(t, c.SendEvents(t.Context(), Event{Raw: []byte(raw)}, Event{Type: "x", Raw: []byte(`{"user":[`)}))
		body := e.batches()[0].body
		require.Contains(t, body, `"id":"1","name":"stays","properties":{"email_address":"`)
		sum := sha256.Sum256([]byte("a@b.c"))
		require.Contains(t, body, `"email_address":"`+hex.EncodeToString(sum[:])+`","email_addresses":"x","name":{"name":"stays"},"list":[{"name":"stays"}]},`)
		require.Contains(t, body, `"user" : {"device_id": "[REDACTED]" ,"timezone":null,"email_address":null}}`)
		require.Contains(t, body, `{"user":[`, "what is no event stays")

		for text, transforms := range map[string]map[string]Transform{
			"neither": {"email_address": "mask"}, `"price"`: {"price": Hash}, `"custom_properties"`: {"custom_properties": Remove},
		} {
			_, err := c.server.Create(Current{URL: "http://x.example", Transforms: transforms})
			require.ErrorContains(t, err, text)
		}
	})
}

// TestWithHandler needs no port, so that it may be used in a bubble.
func TestWithHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Start(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "bridge.example" || r.URL.RawQuery != "a=b" {
				w.WriteHeader(http.StatusBadRequest)
			}
		})))
		require.NoError(t, s.Launch(Current{URL: "http://bridge.example/currents?a=b"}).Send(t.Context(), 300))
	})
}
