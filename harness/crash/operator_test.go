package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/harness"
)

// operator does at the admin address what a person would: reads the ledger and
// replays what RudderStack has refused.
type operator struct {
	books  *books
	client http.Client
	looks  int
}

// users are some of those that the templates are about.
func users() []string {
	return []string{"customer-104415", "customer-100655", "customer-109727", "customer-109657", "customer-109557"}
}

// errBusy is what the bridge answers where a replay is under way already.
var errBusy = errors.New("busy")

func (o *operator) ask(ctx context.Context, method, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	res, err := o.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusConflict {
		return errBusy
	}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s %s: %d %s", method, url, res.StatusCode, text)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// ledgers checks the ledger of every connector and returns how much is pending.
// The error is only that nobody answers.
func (o *operator) ledgers(ctx context.Context, admin string) (pending int64, err error) {
	acked := o.books.acknowledged()
	var status struct{ Connectors []harness.Ledger }
	if err := o.ask(ctx, http.MethodGet, admin+"/status", &status); err != nil {
		return 0, err
	}
	for _, l := range status.Connectors {
		o.books.check(l, acked[l.Name])
		pending += l.Pending
	}
	return pending, nil
}

// replay sends what was refused once more.
func (o *operator) replay(ctx context.Context, admin string) error {
	for _, c := range connectors() {
		var moved struct{ Moved int }
		err := o.ask(ctx, http.MethodPost, admin+"/api/dead/replay?reason=refused&connector="+c.name, &moved)
		if err != nil {
			return err
		}
	}
	return nil
}

// look is what is done after each start; erase has users erased in any case.
func (o *operator) look(ctx context.Context, admin string, erase bool) error {
	if _, err := o.ledgers(ctx, admin); err != nil {
		return err
	}
	if err := o.replay(ctx, admin); err != nil {
		return err
	}
	o.looks++
	return o.mend(ctx, admin, o.looks, erase)
}

// mend orders what there is to order for the connectors that are mended: history
// is replayed, every third time a user is erased, and every fourth time the
// letters of one reason are purged.
func (o *operator) mend(ctx context.Context, admin string, turn int, erase bool) error {
	for _, c := range connectors() {
		if !c.mended {
			continue
		}
		var answer struct{}
		err := o.ask(ctx, http.MethodPost, admin+"/api/replay?since=1h&connector="+c.name, &answer)
		if err != nil && !errors.Is(err, errBusy) {
			return err
		}
		if turn%4 == 0 {
			if err := o.ask(ctx, http.MethodPost, admin+"/api/dead/purge?reason=no_event_type&connector="+c.name, &answer); err != nil {
				return err
			}
		}
		them := users()
		if !erase {
			them = them[turn%len(them):][:1]
		}
		for _, user := range them {
			if turn%3 > 0 && !erase {
				break
			}
			if err := o.ask(ctx, http.MethodPost, admin+"/api/forget?user="+user+"&connector="+c.name, &answer); err != nil {
				return err
			}
		}
	}
	return nil
}

// letters hands every dead letter of a connector to take.
func (o *operator) letters(ctx context.Context, admin, connector string, take func(event []byte, reason string)) error {
	for after := uint64(0); ; {
		var page struct {
			Dead []struct {
				Event  json.RawMessage
				Reason string
			}
			Next uint64
		}
		err := o.ask(ctx, http.MethodGet, fmt.Sprintf("%s/api/dead?limit=1000&connector=%s&after=%d", admin, connector, after), &page)
		if err != nil {
			return err
		}
		for _, letter := range page.Dead {
			take(letter.Event, letter.Reason)
		}
		if page.Next == 0 {
			return nil
		}
		after = page.Next
	}
}

// finish waits until everything that can be delivered is, and buries the rest
// in the books.
func (o *operator) finish(ctx context.Context, admin string) error {
	// Whoever was sick is refused once more at most; a second replay is for
	// those that were in a POST with one that was refused.
	for range 3 {
		if err := o.replay(ctx, admin); err != nil {
			return err
		}
		err := until(ctx, 20*time.Millisecond, func() (bool, error) {
			pending, err := o.ledgers(ctx, admin)
			return pending == 0, err
		})
		if err != nil {
			return fmt.Errorf("deliver the rest: %w", err)
		}
	}
	for _, c := range connectors() {
		err := o.letters(ctx, admin, c.name, func(event []byte, reason string) { o.books.bury(c.name, event, reason) })
		if err != nil {
			return err
		}
	}
	// The last replay has to end, as what it brings counts when it is stored.
	err := until(ctx, 20*time.Millisecond, func() (bool, error) {
		var now struct{ Replays []struct{ Active bool } }
		err := o.ask(ctx, http.MethodGet, admin+"/api/replay", &now)
		return !slices.ContainsFunc(now.Replays, func(r struct{ Active bool }) bool { return r.Active }), err
	})
	if err != nil {
		return fmt.Errorf("end the replay: %w", err)
	}
	_, err = o.ledgers(ctx, admin)
	return err
}
