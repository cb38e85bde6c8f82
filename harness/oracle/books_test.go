package oracle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// head is what every message begins with when the event has no device, no
// time zone and nothing mapped.
const head = `"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},` +
	`"integrations":{"Braze":false},"type":"track"`

func open(t *testing.T, rules oracle.Rules) *oracle.Books {
	archive, err := os.Create(filepath.Join(t.TempDir(), "sent"))
	require.NoError(t, err)
	t.Cleanup(func() { archive.Close() })
	return oracle.NewBooks(rules, archive)
}

func event(id string) []byte {
	return fmt.Appendf(nil, `{"event_type":"t","id":%q,"user":{"user_id":"u"},"properties":{"n":1,"s":"x"}}`, id)
}

// message is what a correct bridge makes of event(id); properties may be changed.
func message(id, properties string) oracle.Delivery {
	return oracle.Delivery{Valid: true, Raw: fmt.Appendf(nil,
		`{%s,"event":"t","messageId":%q,"anonymousId":"u","properties":%s}`, head, id, properties)}
}

const good = `{"n":1,"s":"x"}`

func issued(t *testing.T, ids ...string) *oracle.Books {
	books := open(t, oracle.Rules{})
	for _, id := range ids {
		require.NoError(t, books.Issue(event(id)))
	}
	return books
}

func TestBooksOfAGoodRun(t *testing.T) {
	books := issued(t, "a", "b", "c")
	require.NoError(t, books.Issue(event("a")), "a retry")
	books.Deliver(message("b", good)) // may come before Braze has its answer
	books.Ack("a", "b", "c", "a")
	books.Deliver(message("a", `{"s":"\u0078","n":1}`))
	books.Deliver(message("c", good))
	require.Equal(t, oracle.Tally{
		Sent: 3, Acked: 3, Awaited: 3, Delivered: 3, TypesSent: 1, TypesDelivered: 1,
	}, books.Tally())
}

func TestBooksFindWhatIsWrong(t *testing.T) {
	invalid := message("a", good)
	invalid.Valid, invalid.Fault = false, "/type: required"
	once := oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, TypesDelivered: 1}
	with := func(change func(*oracle.Tally)) oracle.Tally {
		tally := once
		change(&tally)
		return tally
	}
	for _, tt := range []struct {
		name  string
		acked bool // event a
		do    func(*oracle.Books)
		want  oracle.Tally
		says  string // notes, and what is missing
	}{
		{"never acknowledged is no loss", true, func(b *oracle.Books) { b.Deliver(message("a", good)) }, once, ""},
		{"delivered without an acknowledgement", false, func(b *oracle.Books) { b.Deliver(message("a", good)) },
			oracle.Tally{Delivered: 1, TypesDelivered: 1}, ""},
		{"lost", true, func(b *oracle.Books) { b.Ack("b"); b.Deliver(message("a", good)) },
			with(func(t *oracle.Tally) { t.Acked, t.Awaited, t.Lost = 2, 2, 1 }), "b (t)"},
		{"corrupted, counted once", true, func(b *oracle.Books) {
			b.Deliver(message("a", `{"n":1.0,"s":"x"}`))
			b.Interrupt()
			b.Deliver(message("a", `{"n":2,"s":"x"}`))
		}, with(func(t *oracle.Tally) { t.Corrupted, t.Duplicates = 1, 1 }), "event a is not what was sent: /properties/n: want 1, got 1.0"},
		{"twice with nothing lost in between", true, func(b *oracle.Books) { b.Deliver(message("a", good)); b.Deliver(message("a", good)) },
			with(func(t *oracle.Tally) { t.Duplicates, t.Unexplained = 1, 1 }), "event a was delivered twice with nothing lost in between"},
		{"twice with a crash in between", true, func(b *oracle.Books) { b.Deliver(message("a", good)); b.Interrupt(); b.Deliver(message("a", good)) },
			with(func(t *oracle.Tally) { t.Duplicates = 1 }), ""},
		{"stray", false, func(b *oracle.Books) { b.Deliver(message("z", good)) }, oracle.Tally{Stray: 1},
			`a message came in that was never sent: messageId "z" `},
		{"invalid", true, func(b *oracle.Books) { b.Deliver(invalid) }, with(func(t *oracle.Tally) { t.Invalid = 1 }), "message a is invalid: /type: required"},
		{"an id with another content", false, func(b *oracle.Books) {
			require.NoError(t, b.Issue([]byte(`{"event_type":"t","id":"a","user":{"user_id":"v"}}`)))
		},
			oracle.Tally{Reissued: 1}, "event a was sent again with another content"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			books := issued(t, "a", "b")
			if tt.acked {
				books.Ack("a")
			}
			tt.do(books)
			tt.want.Sent, tt.want.TypesSent = 2, 1
			got := books.Tally()
			require.Equal(t, tt.says, strings.Join(append(got.Notes, got.Missing...), "\n"))
			got.Notes, got.Missing = nil, nil
			require.Equal(t, tt.want, got)
		})
	}
}

func TestBooksExpectDeadLetters(t *testing.T) {
	books := open(t, oracle.Rules{})
	require.NoError(t, books.Issue([]byte(`{"event_type":"agentconsole.ToolInvocation","id":"a"}`)))
	books.Ack("a")
	lost := []string{"a (agentconsole.ToolInvocation)"}
	require.Equal(t, oracle.Tally{Sent: 1, Acked: 1, Dead: 1, Lost: 1, Missing: lost, TypesSent: 1}, books.Tally())
	books.DeadLetter([]byte(`{"event_type":"agentconsole.ToolInvocation","id":"a"}`), "no_identity")
	require.Equal(t, oracle.Tally{Sent: 1, Acked: 1, Dead: 1, DeadLettered: 1, TypesSent: 1}, books.Tally())
	books.Deliver(message("a", good))
	require.EqualValues(t, 1, books.Tally().Misdirected)
	require.ErrorContains(t, books.Issue([]byte(`{"event_type":"t"}`)), "no id that can be used")
}

func TestBooksFindWrongDeadLetters(t *testing.T) {
	dead := []byte(`{"event_type":"t","id":"d"}`)
	books := issued(t, "a", "b")
	require.NoError(t, books.Issue(dead))
	books.Ack("a", "b", "d")
	books.DeadLetter(event("a"), "refused")                       // should have been delivered
	books.DeadLetter(dead, "no_event_type")                       // another reason
	books.DeadLetter(dead, "no_identity")                         // a second time
	books.DeadLetter([]byte(`{"id":"unknown"}`), "no_identity")   // never sent
	books.DeadLetter([]byte(`{"event_type":"t"}`), "no_identity") // of no event
	tally := books.Tally()
	require.EqualValues(t, 5, tally.WronglyDeadLettered)
	require.EqualValues(t, 2, tally.DeadLettered)
	require.EqualValues(t, 1, tally.Lost, "only b: a is dead by mistake, not lost")
	require.Equal(t, []string{"b (t)"}, tally.Missing)
	require.Contains(t, tally.Notes, "event a (t) is a dead letter with the reason refused; expected: none")
	require.Contains(t, tally.Notes, "event d (t) is a dead letter with the reason no_event_type; expected: no_identity")
}

func TestBooksInWebhookMode(t *testing.T) {
	raw := `{"event_type":"t","id":"a","user":{"user_id":"u"},"properties":{"n":1.0,"s":"x"}}`
	for came, corrupted := range map[string]int64{raw: 0, strings.Replace(raw, "1.0", "1", 1): 1} {
		books := open(t, oracle.Rules{Webhook: true})
		require.NoError(t, books.Issue([]byte(raw)))
		books.Ack("a")
		books.Deliver(oracle.Delivery{Raw: []byte(came), Valid: true})
		tally := books.Tally()
		require.EqualValues(t, 1, tally.Delivered)
		require.Equal(t, corrupted, tally.Corrupted)
		require.Len(t, tally.Notes, int(corrupted))
	}
}

func TestBooksAreSafeForConcurrentUse(t *testing.T) {
	books := open(t, oracle.Rules{})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("%d-%d", worker, i)
				_ = books.Issue(event(id))
				books.Ack(id)
				books.Deliver(message(id, good))
				books.Interrupt()
				books.Progress()
			}
		})
	}
	all.Wait()
	require.Equal(t, oracle.Tally{
		Sent: 400, Acked: 400, Awaited: 400, Delivered: 400, TypesSent: 1, TypesDelivered: 1,
	}, books.Tally())
}

func ExampleBooks() {
	archive, err := os.CreateTemp("", "sent")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	books := oracle.NewBooks(oracle.Rules{}, archive)
	_ = books.Issue([]byte(`{"event_type":"t","id":"a","user":{"user_id":"u"}}`))
	_ = books.Issue([]byte(`{"event_type":"t","id":"b","user":{"user_id":"u"}}`))
	books.Ack("a", "b")
	books.Deliver(oracle.Delivery{Valid: true, Raw: []byte(`{` + head + `,"event":"t","messageId":"a","anonymousId":"u"}`)})
	tally := books.Tally()
	fmt.Println("acknowledged", tally.Acked, "delivered", tally.Delivered, "lost", tally.Lost)
	// Output: acknowledged 2 delivered 1 lost 1
}
