package harness

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/currentsbridge/currentsbridge/harness/oracle"
	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// Outside is what is known of a run whose programs the harness did not start,
// such as containers: what Braze sent, what RudderStack stored, what the bridge
// says, and what went wrong in between. Judge makes a Report of it.
//
// It is for a run that is over: everything was acknowledged, and the bridge has
// nothing pending any more.
type Outside struct {
	Mode Mode // default ModeEvents
	// MissingExternalUserID is the bridge's setting of that name: deliver, dead
	// or drop; default deliver.
	MissingExternalUserID string

	// Sent are the events of all Currents, one a line, as many as Counts says:
	// for the first Current of a `mockbraze serve` what mockbraze.Emit writes for
	// the same seed.
	Sent io.Reader
	// Counts are those of the Current, or the sum of all Currents, at the end.
	Counts mockbraze.Counts
	// Received is what `mockrudder serve --record` wrote, in its order.
	Received io.Reader
	// Admin is the URL of the bridge's admin side, such as http://127.0.0.1:9090.
	// Of several bridges on one queue, any.
	Admin string
	// Connector is the name of the bridge's connector; default "default".
	Connector string
	// Losses are the times in which outcomes of deliveries could be lost.
	Losses []Loss
	// Crashes is how often a bridge was killed; it is only reported.
	Crashes int
	// Duration is how long the run took; it is only reported.
	Duration time.Duration
}

// Loss is a time in which RudderStack could store events without the bridge
// receiving the response, or storing the outcome: a bridge was killed, or the
// network between them failed. What was delivered before its end may be sent again.
type Loss struct {
	// From is before the first outcome that could be lost, Until after the last
	// one: for a kill, when the bridge was ready again.
	From, Until time.Time
	// Events is how many events it can repeat at most. For a kill that is the
	// connector's concurrency × batch_events; for an answer that did not arrive,
	// batch_events.
	Events int64
}

// Judge compares what RudderStack got with what was acknowledged to Braze, and both
// with the bridge's ledger and dead letters. An error means that there
// is no verdict: something could not be read, or the evidence does not fit
// together.
func Judge(ctx context.Context, o Outside) (Report, error) {
	o.Mode = cmp.Or(o.Mode, ModeEvents)
	o.MissingExternalUserID = cmp.Or(o.MissingExternalUserID, "deliver")
	o.Connector = cmp.Or(o.Connector, connector)
	if err := o.check(); err != nil {
		return Report{}, err
	}
	archive, err := os.CreateTemp("", "currentsbridge-judge-")
	if err != nil {
		return Report{}, fmt.Errorf("archive of what is sent: %w", err)
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	books := oracle.NewBooks(o.settings().rules(), archive)
	if err := o.readSent(books); err != nil {
		return Report{}, fmt.Errorf("read what Braze sent: %w", err)
	}
	if err := o.readReceived(books); err != nil {
		return Report{}, fmt.Errorf("read what RudderStack received: %w", err)
	}
	ledger, err := ReadLedger(ctx, o.Admin, o.Connector)
	if err != nil {
		return Report{}, err
	}
	err = readLetters(ctx, o.Admin, o.Connector, func(l letter) { books.DeadLetter(l.Event, l.Reason) })
	if err != nil {
		return Report{}, err
	}
	return judge(o.evidence(books, ledger)), nil
}

func (o Outside) settings() Config {
	return Config{Mode: o.Mode, MissingExternalUserID: o.MissingExternalUserID, Faults: FaultsNone}
}

func (o Outside) check() error {
	wrong := []error{o.settings().check()}
	if o.Sent == nil || o.Received == nil {
		wrong = append(wrong, errors.New("judge: Sent and Received must be given"))
	}
	for _, loss := range o.Losses {
		if loss.Until.Before(loss.From) {
			wrong = append(wrong, fmt.Errorf("judge: a loss ends at %s, before it begins at %s", loss.Until, loss.From))
		}
	}
	return errors.Join(wrong...)
}

// readSent notes every event as sent. As Braze has nothing left, all of them
// were acknowledged, unless it dropped some. Which ones is not known then: none
// counts as acknowledged, and the verdict says so.
func (o Outside) readSent(books *oracle.Books) error {
	lines, read := bufio.NewScanner(o.Sent), int64(0)
	lines.Buffer(nil, 64<<20) // the longest event
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		read++
		if err := books.Issue(lines.Bytes()); err != nil {
			return fmt.Errorf("event %d: %w", read, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if read != o.Counts.Events {
		return fmt.Errorf("%d events are there, and Braze's counts say %d", read, o.Counts.Events)
	}
	if o.Counts.Sent == o.Counts.Events {
		books.AckAll()
	}
	return nil
}

// readReceived notes every delivery in the order in which it was stored, with
// the losses in between.
func (o Outside) readReceived(books *oracle.Books) error {
	losses := slices.Clone(o.Losses)
	slices.SortFunc(losses, func(a, b Loss) int { return cmp.Compare(a.From.UnixNano(), b.From.UnixNano()) })
	recording := json.NewDecoder(bufio.NewReader(o.Received))
	for {
		var e mockrudder.Event
		err := recording.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// There is an interruption before each delivery within a loss, and before the
		// first one after it.
		for len(losses) > 0 && !e.ReceivedAt.Before(losses[0].From) {
			books.Interrupt()
			if !e.ReceivedAt.After(losses[0].Until) {
				break
			}
			losses = losses[1:]
		}
		books.Deliver(delivered(e))
	}
}

// evidence is what Run would have gathered itself. Counts.Sent are the events
// that were answered 2XX; what Braze sent again may have been stored before.
func (o Outside) evidence(books *oracle.Books, ledger Ledger) evidence {
	e := evidence{
		tally: books.Tally(), ledger: ledger,
		answered: o.Counts.Sent, unanswered: o.Counts.Retried,
		crashes: o.Crashes, wantedCrashes: o.Crashes, duration: o.Duration,
	}
	for _, loss := range o.Losses {
		e.explained += loss.Events
	}
	return e
}
