package oracle_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
)

// shelf is an archive in memory.
type shelf struct{ events [][]byte }

func (s *shelf) Put(event []byte) (uint64, error) {
	s.events = append(s.events, append([]byte(nil), event...))
	return uint64(len(s.events) - 1), nil
}

func (s *shelf) Get(ref uint64) ([]byte, error) {
	if ref >= uint64(len(s.events)) {
		return nil, errors.New("no such event")
	}
	return s.events[ref], nil
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
	t.Helper()
	books := oracle.NewBooks(oracle.Rules{}, &shelf{})
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
	require.Empty(t, books.Notes())
	require.Empty(t, books.Missing())
}

func TestAckAll(t *testing.T) {
	books := issued(t, "a", "b")
	books.Ack("a")
	books.AckAll()
	require.NoError(t, books.Issue(event("c")))
	got := books.Tally()
	require.Equal(t, []int64{3, 2, 2}, []int64{got.Sent, got.Acked, got.Awaited})
}

type wrongBook struct {
	name  string
	do    func(*oracle.Books)
	want  oracle.Tally
	notes []string
}

func firstWrongBooks() []wrongBook {
	return []wrongBook{
		{
			"lost", func(b *oracle.Books) { b.Ack("a", "b"); b.Deliver(message("a", good)) },
			oracle.Tally{Acked: 2, Awaited: 2, Delivered: 1, Undelivered: 1, TypesDelivered: 1}, nil,
		},
		{
			"never acknowledged is no loss", func(b *oracle.Books) { b.Ack("a"); b.Deliver(message("a", good)) },
			oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, TypesDelivered: 1}, nil,
		},
		{
			"delivered without an acknowledgement", func(b *oracle.Books) { b.Deliver(message("a", good)) },
			oracle.Tally{Delivered: 1, TypesDelivered: 1}, nil,
		},
		{
			"corrupted, counted once",
			func(b *oracle.Books) {
				b.Ack("a")
				b.Deliver(message("a", `{"n":1.0,"s":"x"}`))
				b.Interrupt()
				b.Deliver(message("a", `{"n":2,"s":"x"}`))
			},
			oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, Corrupted: 1, Duplicates: 1, TypesDelivered: 1},
			[]string{"event a is not what was sent: /properties/n: want 1, got 1.0"},
		},
		{
			"twice with nothing lost in between",
			func(b *oracle.Books) { b.Ack("a"); b.Deliver(message("a", good)); b.Deliver(message("a", good)) },
			oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, Duplicates: 1, Unexplained: 1, TypesDelivered: 1},
			[]string{"event a was delivered twice with nothing lost in between"},
		},
	}
}

func moreWrongBooks() []wrongBook {
	return []wrongBook{
		{
			"twice with a crash in between",
			func(b *oracle.Books) {
				b.Ack("a")
				b.Deliver(message("a", good))
				b.Interrupt()
				b.Deliver(message("a", good))
			},
			oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, Duplicates: 1, TypesDelivered: 1}, nil,
		},
		{
			"stray", func(b *oracle.Books) { b.Deliver(message("z", good)) },
			oracle.Tally{Stray: 1},
			[]string{`a message came in that was never sent: messageId "z" `},
		},
		{
			"invalid",
			func(b *oracle.Books) {
				b.Ack("a")
				d := message("a", good)
				d.Valid, d.Fault = false, "/type: required"
				b.Deliver(d)
			},
			oracle.Tally{Acked: 1, Awaited: 1, Delivered: 1, Invalid: 1, TypesDelivered: 1},
			[]string{"message a is invalid: /type: required"},
		},
		{
			"an id with another content", func(b *oracle.Books) {
				_ = b.Issue([]byte(`{"event_type":"t","id":"a","user":{"user_id":"v"}}`))
			},
			oracle.Tally{Reissued: 1},
			[]string{"event a was sent again with another content"},
		},
	}
}

func TestBooksFindWhatIsWrong(t *testing.T) {
	for _, tt := range append(firstWrongBooks(), moreWrongBooks()...) {
		t.Run(tt.name, func(t *testing.T) {
			books := issued(t, "a", "b")
			tt.do(books)
			tt.want.Sent, tt.want.TypesSent = 2, 1
			require.Equal(t, tt.want, books.Tally())
			require.Equal(t, tt.notes, books.Notes())
		})
	}
}

func TestBooksNameWhatIsMissing(t *testing.T) {
	books := issued(t, "a", "b")
	books.Ack("a", "b")
	books.Deliver(message("a", good))
	require.Equal(t, []string{"b (t)"}, books.Missing())
}

func TestBooksExpectDeadLetters(t *testing.T) {
	books := oracle.NewBooks(oracle.Rules{}, &shelf{})
	require.NoError(t, books.Issue([]byte(`{"event_type":"agentconsole.ToolInvocation","id":"a"}`)))
	books.Ack("a")
	require.Equal(t, oracle.Tally{Sent: 1, Acked: 1, Dead: 1, NotDeadLettered: 1, TypesSent: 1}, books.Tally())
	books.DeadLetter([]byte(`{"event_type":"agentconsole.ToolInvocation","id":"a"}`), "no_identity")
	require.Equal(t, oracle.Tally{Sent: 1, Acked: 1, Dead: 1, DeadLettered: 1, TypesSent: 1}, books.Tally())
	require.Empty(t, books.Notes())
	books.Deliver(message("a", good))
	require.EqualValues(t, 1, books.Tally().Misdirected)
	require.ErrorIs(t, books.Issue([]byte(`{"event_type":"t"}`)), oracle.ErrNoID)
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
	require.EqualValues(t, 1, tally.Undelivered, "only b: a is dead by mistake, not lost")
	require.Equal(t, []string{"b (t)"}, books.Missing())
	require.Contains(t, books.Notes(), "event a (t) is a dead letter with the reason refused; expected: none")
	require.Contains(t, books.Notes(), "event d (t) is a dead letter with the reason no_event_type; expected: no_identity")
}

func TestBooksInWebhookMode(t *testing.T) {
	raw := `{"event_type":"t","id":"a","user":{"user_id":"u"},"properties":{"n":1.0,"s":"x"}}`
	for came, corrupted := range map[string]int64{raw: 0, strings.Replace(raw, "1.0", "1", 1): 1} {
		books := oracle.NewBooks(oracle.Rules{Mode: oracle.Webhook}, &shelf{})
		require.NoError(t, books.Issue([]byte(raw)))
		books.Ack("a")
		books.Deliver(oracle.Delivery{Raw: []byte(came), Valid: true})
		tally := books.Tally()
		require.EqualValues(t, 1, tally.Delivered)
		require.Equal(t, corrupted, tally.Corrupted)
		require.Len(t, books.Notes(), int(corrupted))
	}
}

func TestBooksAreSafeForConcurrentUse(t *testing.T) {
	books := oracle.NewBooks(oracle.Rules{}, &shelf{})
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
	books := oracle.NewBooks(oracle.Rules{}, &shelf{})
	_ = books.Issue([]byte(`{"event_type":"t","id":"a","user":{"user_id":"u"}}`))
	_ = books.Issue([]byte(`{"event_type":"t","id":"b","user":{"user_id":"u"}}`))
	books.Ack("a", "b")
	books.Deliver(oracle.Delivery{Valid: true, Raw: []byte(`{` + head + `,"event":"t","messageId":"a","anonymousId":"u"}`)})
	tally := books.Tally()
	fmt.Println("acknowledged", tally.Acked, "delivered", tally.Delivered, "undelivered", tally.Undelivered)
	// Output: acknowledged 2 delivered 1 undelivered 1
}
