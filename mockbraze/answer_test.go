package mockbraze

import (
	"context"
	"errors"
	"math/rand/v2"
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
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: always(status)}
			c := e.launch(t, Current{})
			require.NoError(t, c.SendEvents(t.Context(), opens(100)...))
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			require.Len(t, e.batches(), 1, "status %d", status)
			require.EqualValues(t, 100, c.Report().Counts.Sent)
			consistent(t, c.Report())
		})
	}
}

func TestBadRequestIsolatesTheOddEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(r request) int {
			if slices.Contains(r.ids, "e042") {
				return 400
			}
			return 200
		}}
		var dropped []Event
		var why Reason
		c := e.launch(t, Current{Connections: 1, OnDrop: func(events []Event, reason Reason) {
			dropped, why = append(dropped, events...), reason
		}})
		err := c.SendEvents(t.Context(), opens(100)...)

		var failed *SendError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, ErrDropped)
		require.Equal(t, 99, failed.Acked)
		require.Equal(t, map[Reason]int{Refused: 1}, failed.Dropped)
		require.Len(t, dropped, 1)
		require.Equal(t, "e042", dropped[0].ID)
		require.Equal(t, Refused, why)

		batches := e.batches()
		require.Len(t, batches, 101)
		require.Len(t, batches[0].ids, 100)
		for i, r := range batches[1:] {
			require.Equal(t, batches[0].ids[i:i+1], r.ids, "each alone, in order")
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Len(t, e.batches(), 101, "the refused event is not sent again")
		r := c.Report()
		require.EqualValues(t, 1, r.Counts.Split)
		require.Equal(t, map[Reason]int64{Refused: 1}, r.Dropped)
		consistent(t, r)
	})
}

func TestTooLargeIsHalved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(r request) int {
			if len(r.ids) > 15 || slices.Contains(r.ids, "e007") {
				return 413
			}
			return 200
		}}
		c := e.launch(t, Current{Connections: 1})
		err := c.SendEvents(t.Context(), opens(100)...)
		var failed *SendError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, 99, failed.Acked)
		require.Equal(t, map[Reason]int{TooLarge: 1}, failed.Dropped)

		var sizes []int
		for _, r := range e.batches() {
			sizes = append(sizes, len(r.ids))
		}
		require.Equal(t, []int{100, 50, 50, 25, 25, 25, 25}, sizes[:7])
		require.Contains(t, sizes, 13)
		require.Contains(t, sizes, 12)
		require.EqualValues(t, 0, c.Report().Counts.Queued)
	})
}

func TestDeniedHoldsUntilLaunchedAgain(t *testing.T) {
	for _, status := range []int{401, 403, 404} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: always(status)}
			c := e.launch(t, Current{Token: "old", Contact: "ops@example.com", Connections: 1})
			err := c.SendEvents(t.Context(), opens(250)...)
			require.ErrorIs(t, err, ErrHeld)
			require.EqualValues(t, 250, c.Report().ByType["users.messages.email.Open"].Queued, "also those that are in batches")
			require.Equal(t, Held, c.State())
			time.Sleep(4 * 24 * time.Hour)
			synctest.Wait()
			require.Len(t, e.batches(), 1, "nothing is tried by itself")
			r := c.Report()
			require.EqualValues(t, 250, r.Counts.Queued)
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
			require.NoError(t, c.Mend("http://bridge.example/new", "new"))
			require.NoError(t, c.Launch(t.Context()))
			synctest.Wait()
			r = c.Report()
			require.EqualValues(t, 250, r.Counts.Sent)
			require.Nil(t, r.TroubleSince)
			batches := e.batches()
			require.Len(t, batches, 4)
			require.True(t, batches[0].body == batches[1].body, "not the same bytes")
			require.Equal(t, "Bearer old", batches[0].header.Get("Authorization"))
			require.Equal(t, "Bearer new", batches[1].header.Get("Authorization"))
			require.Equal(t, "http://bridge.example/new", batches[1].url)
			consistent(t, r)
		})
	}
}

func TestEverythingElseIsSentAgainTheSame(t *testing.T) {
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
			}
			r := c.Report()
			require.EqualValues(t, 7*30, r.Counts.Retried)
			require.EqualValues(t, 0, r.Counts.Split)
			require.Empty(t, r.Mails)
			consistent(t, r)
		})
	}
}

func TestBackoffHasJitter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b := Backoff{First: time.Second, Max: time.Minute}
	seen := make(map[time.Duration]bool)
	for range 50 {
		d := b.wait(4, random)
		require.GreaterOrEqual(t, d, 4*time.Second)
		require.LessOrEqual(t, d, 8*time.Second)
		seen[d] = true
	}
	require.Greater(t, len(seen), 40)
	require.LessOrEqual(t, b.wait(500, random), time.Minute, "does not overflow")
}

func TestOneBadBatchDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(r request) int {
			if r.types[0] == "users.messages.email.Open" {
				return 503
			}
			return 200
		}}
		c := e.launch(t, Current{Connections: 2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c.Queue(opens(100)...)
		require.NoError(t, c.SendEvents(ctx, Event{Raw: []byte(`{"event_type":"other","id":"1"}`)}))
		require.EqualValues(t, 1, c.Report().Counts.Sent)
	})
}

// TestAnswersToOldRequestsDoNotHold launches again while a request with the
// old token is under way.
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
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, Running, c.State())
		require.EqualValues(t, 100, c.Report().Counts.Sent)
	})
}

func TestSendErrorSaysWhatHappened(t *testing.T) {
	err := &SendError{
		Outcome: Outcome{Acked: 3, Pending: 2, Dropped: map[Reason]int{Refused: 1, Expired: 4}},
		Last:    Answer{Status: 400}, Cause: ErrDropped,
	}
	require.Equal(t, "send: events were dropped (acknowledged 3, still queued 2, expired 4, refused 1; last answer: 400)", err.Error())
	err.Last = Answer{Error: "connection refused"}
	require.True(t, strings.HasSuffix(err.Error(), "last answer: connection refused)"))
	require.True(t, errors.Is(err, ErrDropped))
}
