package mockbraze

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/journey"
	"github.com/currentsbridge/currentsbridge/internal/urlmask"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Kind is what a Current exports to.
type Kind string

const (
	// HTTP is Braze's Custom HTTP connector. It is what an empty Kind means.
	HTTP Kind = "http"
	// RudderStack is Braze's RudderStack export: the same requests, but only events of
	// users that have an external_user_id.
	RudderStack Kind = "rudderstack"
)

// All chooses every event type. Do not change it.
var All = []string{"*"}

// MaxRate is the highest Rate of a Current, in events a second.
const MaxRate = 100_000

// MaxBatch is how many events Braze puts into a request at most.
const MaxBatch = 100

// Facts about the connector, from Braze's documentation.
const (
	DisableAfter = 5 * 24 * time.Hour // how long a problem lasts before Braze disables a Current
	KeepFor      = 7 * 24 * time.Hour // how long a disabled Current's queued events are kept
	// MaxTestCurrents is how many Test Currents a workspace has at most, and
	// TestQuota how many events they send together from midnight to midnight UTC.
	MaxTestCurrents = 10
	TestQuota       = 1500
)

// Current is what a customer fills in to make a Current, and how the fake is
// to run it. Only URL is needed. The control API takes it as JSON, with
// FlushAfter as flush_after_seconds.
type Current struct {
	// Name and Contact change nothing but the report.
	Name    string `json:"integration_name,omitempty"`
	Contact string `json:"contact_email,omitempty"`
	// Region is RudderStack's own for its kind: US, which an empty one means, or EU.
	Region string `json:"region,omitempty"`
	Kind   Kind   `json:"kind,omitempty"`
	// URL is http or https; for RudderStack the webhook URL, write key included.
	URL   string `json:"url"`
	Token string `json:"token,omitempty"` // sent as a bearer token; empty sends none
	// Events are event types, or patterns such as users.messages.email.*; nil is all.
	Events []string `json:"events,omitempty"`
	// Transforms are the field transformations, by the name of a string field.
	Transforms map[string]Transform `json:"field_transformations,omitempty"`
	// TestCurrent makes it one of the workspace's Test Currents. What is over their
	// quota waits for midnight UTC; whether Braze drops it instead is not published.
	TestCurrent bool `json:"test_current,omitempty"`

	// Batch is how many events a request carries at most, up to MaxBatch, its default.
	Batch int `json:"batch,omitempty"`
	// FlushAfter is how long the oldest event of a queue waits for its batch to
	// fill; 0 means 5 minutes, as Braze says of a busy Current (a quiet one: 5 to 30).
	FlushAfter time.Duration `json:"-"`
	// Timeout is how long an answer may take; 0 means 30 seconds (an assumption).
	Timeout time.Duration `json:"-"`
	// Backoff is how long a batch waits before it is sent again.
	Backoff Backoff `json:"-"`
	// Connections is how many requests are in flight at most; 0 means 4.
	Connections int `json:"-"`
	// Window is how many events of one call of Send may be pending, or be queued at
	// the Rate; 0 means 20,000. It bounds memory.
	Window int `json:"-"`
	// Rate is how many events a second happen once the Current is launched, beside
	// those that Send asks for.
	Rate float64 `json:"rate,omitempty"`
	// Scenario decides which events happen: Rounds, which an empty one means, or a
	// name that WithScenario made known.
	Scenario string `json:"scenario,omitempty"`
	// EmptyProbe makes the probe of the credentials a request with an empty
	// body instead of one with zero events. Braze sends either.
	EmptyProbe bool `json:"empty_probe,omitempty"`

	// OnSend gets each batch before each attempt, OnAck each batch answered 2XX.
	// They are called from several goroutines, before the events count as sent,
	// and must not change the events, but may keep them.
	OnSend func(events []Event)                `json:"-"`
	OnAck  func(events []Event, answer Answer) `json:"-"`
}

// Transform is a field transformation of a Current: what becomes of a string
// field in every event that has it.
type Transform = fieldtransform.Transform

const (
	// Remove makes the value Redacted.
	Remove = fieldtransform.Remove
	// Hash makes the value its SHA-256, in hex digits.
	Hash = fieldtransform.Hash
	// Redacted is the value of a string that was removed.
	Redacted = fieldtransform.Redacted
)

// Backoff is exponential with jitter: the n-th wait is between half and all of
// First·2ⁿ⁻¹, and no more than Max. Braze publishes no numbers; the defaults,
// 1 second and 10 minutes, are assumptions.
type Backoff struct{ First, Max time.Duration }

// Reason is why a Current dropped events.
type Reason string

// The reasons.
const (
	Refused      Reason = "refused"      // answered 400 alone
	Unauthorized Reason = "unauthorized" // answered 401, 403 or 404
	TooLarge     Reason = "too_large"    // answered 413 alone; what Braze does then is not documented
	Oversized    Reason = "oversized"    // above MaxEventBytes and never sent
	Disabled     Reason = "disabled"     // came while the Current was disabled
	Expired      Reason = "expired"      // waited in a disabled Current for KeepFor
)

func (c Current) withDefaults(g *schemas.Glossary) (Current, error) {
	err := cmp.Or(checkURL(c.URL), checkToken(c.Token), fieldtransform.Check(g, c.Transforms), checkRate(c.Rate))
	if err != nil {
		return c, err
	}
	c.Kind, c.Scenario = cmp.Or(c.Kind, HTTP), cmp.Or(c.Scenario, Rounds)
	if c.Kind == RudderStack {
		c.Region = cmp.Or(c.Region, "US")
	}
	switch {
	case c.Kind != HTTP && c.Kind != RudderStack:
		return c, fmt.Errorf("kind: %q is neither %q nor %q", c.Kind, HTTP, RudderStack)
	case c.Kind == RudderStack && c.Region != "US" && c.Region != "EU":
		return c, fmt.Errorf("region: %q is no region of RudderStack: US or EU", c.Region)
	case c.Events != nil && len(c.Events) == 0:
		return c, errors.New("events: no event type is chosen; choose some, or leave it out for all")
	case c.Batch < 0 || c.Batch > MaxBatch:
		return c, fmt.Errorf("batch: %d is not from 1 to %d", c.Batch, MaxBatch)
	case min(c.FlushAfter, c.Timeout, c.Backoff.First, c.Backoff.Max) < 0 || min(c.Connections, c.Window) < 0:
		return c, errors.New("FlushAfter, Timeout, Backoff, Connections and Window cannot be negative")
	}
	if c.Events, err = journey.Select(g, c.Events, false); err != nil {
		return c, fmt.Errorf("events: %w", err)
	}
	c.Batch = cmp.Or(c.Batch, MaxBatch)
	c.FlushAfter = cmp.Or(c.FlushAfter, 5*time.Minute)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	c.Backoff.First = cmp.Or(c.Backoff.First, time.Second)
	c.Backoff.Max = max(cmp.Or(c.Backoff.Max, 10*time.Minute), c.Backoff.First)
	c.Connections = cmp.Or(c.Connections, 4)
	c.Window = cmp.Or(c.Window, 20_000)
	return c, nil
}

func checkURL(text string) error {
	// Neither the text nor the error of the parser, which repeats it, may be
	// shown: there can be a write key in it.
	target, err := url.Parse(text)
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" {
		return errors.New("url: it is no http or https URL; write it out, such as http://127.0.0.1:8080/currents")
	}
	if strings.Contains(text, urlmask.Mask) || strings.Contains(text, url.QueryEscape(urlmask.Mask)) {
		return fmt.Errorf("url: %s stands for a secret that is not shown; write it out, or leave the URL out to keep it", urlmask.Mask)
	}
	return nil
}

// checkToken rejects characters that a header cannot carry, such as the line break
// at the end of a copied token.
func checkToken(token string) error {
	for i := range len(token) {
		if token[i] < ' ' || token[i] == 0x7F {
			return errors.New("token: it holds a line break or another control character; copy it without")
		}
	}
	return nil
}

func checkRate(rate float64) error {
	if !(rate >= 0 && rate <= MaxRate) {
		return fmt.Errorf("rate: %v is not from 0 to %d events a second", rate, MaxRate)
	}
	return nil
}

// Counts are what a Current did, in events unless said otherwise, since it was
// made. Events = Queued + Sent + the dropped ones.
type Counts struct {
	Events     int64 `json:"events"`        // queued or dropped at once
	Queued     int64 `json:"queued"`        // wait or are in flight
	Sent       int64 `json:"sent"`          // answered 2XX
	Retried    int64 `json:"retried"`       // sent again after a backoff; an event counts each time
	Withheld   int64 `json:"withheld"`      // of a Current of kind RudderStack, without an external_user_id
	Split      int64 `json:"split_batches"` // batches that were sent again in parts
	Requests   int64 `json:"requests"`      // with events
	Probes     int64 `json:"probes"`        // requests without
	TestEvents int64 `json:"test_events"`   // by SendTestEvents; they are in no other count
}

// Mail is what Braze writes to the Current's contact.
type Mail struct {
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
}

// TypeCounts are what a Current did with the events of one type, as in Counts.
type TypeCounts struct {
	Events  int64            `json:"events"`
	Queued  int64            `json:"queued"`
	Sent    int64            `json:"sent"`
	Retried int64            `json:"retried"`
	Split   int64            `json:"split_batches"`
	Dropped map[Reason]int64 `json:"dropped"`
}

type ofType struct {
	TypeCounts

	queue batch // the events that are in no batch yet
}

// typeOf finds or makes what there is of a type. The lock is held.
func (c *Connector) typeOf(name string) *ofType {
	t := c.byType[name]
	if t == nil {
		t = &ofType{TypeCounts: TypeCounts{Dropped: make(map[Reason]int64)}, queue: batch{typ: name}}
		c.byType[name] = t
		c.types = append(c.types, t)
	}
	return t
}

// Report is how a Current stands, as the control API shows it. The token is
// left out, and secrets of the URL are masked. What has no comment is as in Current.
type Report struct {
	ID          string                `json:"id"`
	Kind        Kind                  `json:"kind"`
	Name        string                `json:"integration_name"`
	Contact     string                `json:"contact_email"`
	URL         string                `json:"url"`
	Region      string                `json:"region"`
	HasToken    bool                  `json:"has_token"`
	Scenario    string                `json:"scenario"`
	Rate        float64               `json:"rate"` // or what SetRate made it
	Types       []string              `json:"events"`
	State       State                 `json:"state"`
	Counts      Counts                `json:"counts"`
	Dropped     map[Reason]int64      `json:"dropped"` // the events that are lost
	ByType      map[string]TypeCounts `json:"by_type"` // of the types of which there was an event
	Latency     Latency               `json:"latency"`
	FlushAfter  float64               `json:"flush_after_seconds"`
	Batch       int                   `json:"batch"`
	Transforms  map[string]Transform  `json:"field_transformations"`
	TestCurrent bool                  `json:"test_current"`
	EmptyProbe  bool                  `json:"empty_probe"`
	// QuotaUntil is until when the quota of Test Currents keeps events; nil while
	// there is some left.
	QuotaUntil *time.Time     `json:"quota_until,omitempty"`
	Queues     map[string]int `json:"queues"` // the events that are in no batch yet, by type
	// TroubleSince is when the last answer other than 2XX came that began a
	// time without any 2XX; nil while all is well.
	TroubleSince *time.Time `json:"trouble_since,omitempty"`
	Answers      []Answer   `json:"last_answers"` // the newest at the end
	Mails        []Mail     `json:"mails"`
}

// Report says how the Current stands now.
func (c *Connector) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{
		ID: c.id, Kind: c.spec.Kind, Name: c.spec.Name, Contact: c.spec.Contact,
		URL: urlmask.URL(c.url), Region: c.spec.Region, HasToken: c.token != "", Types: c.spec.Events,
		State: c.state, Counts: c.counts, Dropped: maps.Clone(c.dropped), Queues: make(map[string]int),
		Scenario: c.spec.Scenario, Rate: c.rate, ByType: make(map[string]TypeCounts, len(c.byType)),
		FlushAfter: c.spec.FlushAfter.Seconds(), Batch: c.spec.Batch,
		TestCurrent: c.spec.TestCurrent, EmptyProbe: c.spec.EmptyProbe, Latency: latencyOf(c.latency),
		Transforms: make(map[string]Transform, len(c.spec.Transforms)),
		Answers:    append([]Answer{}, c.answers...), Mails: append([]Mail{}, c.mails...),
	}
	for name, t := range c.byType {
		if n := len(t.queue.events); n > 0 {
			r.Queues[name] = n
		}
		shown := t.TypeCounts
		shown.Dropped = maps.Clone(t.Dropped)
		shown.Queued = t.Events - t.Sent
		for _, n := range t.Dropped {
			shown.Queued -= n
		}
		r.ByType[name] = shown
	}
	maps.Copy(r.Transforms, c.spec.Transforms)
	if since := c.trouble; !since.IsZero() {
		r.TroubleSince = &since
	}
	if until := c.quota; !until.IsZero() {
		r.QuotaUntil = &until
	}
	return r
}

// lastOf appends to a list of which a report shows the last 20.
func lastOf[T any](list []T, more T) []T {
	return append(list, more)[max(0, len(list)-19):]
}

// mail writes to the contact. The lock is held.
func (c *Connector) mail(at time.Time, subject string) {
	c.mails = lastOf(c.mails, Mail{At: at, To: c.spec.Contact, Subject: subject})
}

// Latency is how long answers took, in milliseconds, over all requests with
// events since the Current was made. Those without an answer count with the
// time that was waited.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// longest is the longest latency that is recorded; longer ones count as it.
const longest = time.Hour

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / 1000 }
	return Latency{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), Max: float64(h.Max()) / 1000}
}
