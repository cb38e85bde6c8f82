package mockbraze

import (
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/currentsbridge/currentsbridge/internal/urlmask"
)

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

// longest is the longest latency that is recorded, in microseconds; longer ones count
// as it.
const longest = time.Hour

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / 1000 }
	return Latency{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), Max: float64(h.Max()) / 1000}
}
