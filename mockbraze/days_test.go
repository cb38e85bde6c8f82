package mockbraze

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

func TestDisabledAfterFiveDaysOfTrouble(t *testing.T) {
	for _, status := range []int{503, 0, 401} {
		synctest.Test(t, func(t *testing.T) {
			e := &endpoint{answer: always(status)}
			c := e.launch(t, Current{})
			c.Queue(opens(100)...)
			time.Sleep(5*day - time.Minute)
			synctest.Wait()
			require.NotEqual(t, Stopped, c.State(), "status %d", status)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			require.Equal(t, Stopped, c.State(), "status %d", status)
			tried := len(e.batches())

			// New events are lost, the old ones are kept.
			e.say(always(200))
			err := c.SendEvents(t.Context(), opens(7)...)
			require.ErrorIs(t, err, ErrDropped)
			r := c.Report()
			require.Equal(t, map[Reason]int64{Disabled: 7}, r.Dropped)
			require.EqualValues(t, 100, r.Counts.Queued)
			require.NotEmpty(t, r.Mails)
			consistent(t, r)

			// A pause would keep them for ever.
			code, answer := control(t, c.server.Handler(), "POST", "/api/currents/1/pause", "")
			require.Equal(t, 409, code)
			require.Contains(t, answer["what_to_do"], "/api/currents/1/launch")
			require.ErrorIs(t, c.Pause(), ErrDisabled)
			require.Equal(t, Stopped, c.State())

			time.Sleep(7*day - 5*time.Minute)
			synctest.Wait()
			require.EqualValues(t, 100, c.Report().Counts.Queued)
			require.Len(t, e.batches(), tried, "nothing is sent while disabled")
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			r = c.Report()
			require.Equal(t, map[Reason]int64{Disabled: 7, Expired: 100}, r.Dropped)
			require.EqualValues(t, 0, r.Counts.Queued)
			consistent(t, r)
		})
	}
}

func TestLaunchAgainWithinSevenDaysSendsWhatWasKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(500)}
		c := e.launch(t, Current{})
		c.Queue(opens(130)...)
		time.Sleep(5*day + 6*day)
		synctest.Wait()
		require.Equal(t, Stopped, c.State())
		e.say(always(200))
		require.NoError(t, c.Launch(t.Context()))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 130, c.Report().Counts.Sent)
		require.Equal(t, Running, c.State())
	})
}

func TestOneGoodAnswerEndsTheTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: always(503)}
		c := e.launch(t, Current{})
		c.Queue(opens(100)...)
		time.Sleep(4 * day)
		e.say(always(200))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Nil(t, c.Report().TroubleSince)
		e.say(always(503))
		c.Queue(opens(100)...)
		time.Sleep(4 * day)
		synctest.Wait()
		require.Equal(t, Running, c.State())
		require.NotNil(t, c.Report().TroubleSince)
	})
}

func TestQueuesFlushWhenFullOrOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.launch(t, Current{FlushAfter: 7 * time.Minute})
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
		time.Sleep(5*time.Minute - time.Second)
		synctest.Wait()
		require.Len(t, e.batches(), 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		batches := e.batches()
		require.Len(t, batches, 2, "the oldest event waited long enough, the other queue's did not")
		require.Len(t, batches[1].ids, 35)
		require.Equal(t, 8*time.Minute, batches[1].at.Sub(begin).Round(time.Second))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Len(t, e.batches(), 3)
		require.Equal(t, []string{"other"}, e.batches()[2].types)
	})
}

func TestPauseKeepsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := e.launch(t, Current{})
		require.NoError(t, c.Pause())
		require.ErrorIs(t, c.Send(t.Context(), 5), ErrNotLaunched)
		c.Queue(opens(100)...)
		time.Sleep(30 * day)
		synctest.Wait()
		require.Empty(t, e.batches())
		require.Equal(t, Paused, c.State())
		require.NoError(t, c.Launch(t.Context()))
		synctest.Wait()
		require.EqualValues(t, 100, c.Report().Counts.Sent)
	})
}
