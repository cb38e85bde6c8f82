package admin

import (
	"cmp"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// About says which bridge this is, and with which settings; secrets are not in it.
type About struct {
	Version    string              `json:"version"`
	Glossary   string              `json:"glossary"` // its version
	Settings   []config.Shown      `json:"settings"` // of the bridge
	Connectors []ConnectorSettings `json:"connectors"`
}

// ConnectorSettings are the settings of one connector.
type ConnectorSettings struct {
	Name     string         `json:"name"`
	Settings []config.Shown `json:"settings"`
}

// Overview is what /api/overview answers: all that an operator looks at first.
type Overview struct {
	Now        time.Time           `json:"now"`
	Ready      bool                `json:"ready"`
	Reason     string              `json:"reason,omitempty"` // why it is not ready
	Connectors []ConnectorOverview `json:"connectors"`
	Store      StoreOverview       `json:"store"`
	Drift      int                 `json:"drift"` // names that the glossary does not have
	Version    string              `json:"version"`
	Glossary   string              `json:"glossary"`
}

// ConnectorOverview is what the overview shows of one connector.
type ConnectorOverview struct {
	ConnectorStatus
	Configured bool      `json:"configured"` // false: nothing is delivered for it
	Since      time.Time `json:"since,omitzero"`
	NextTry    time.Time `json:"next_try,omitzero"`
	Latest     *Sample   `json:"latest,omitempty"` // absent in the first seconds
	LagSeconds *float64  `json:"lag_seconds,omitempty"`
	Replay     *Replay   `json:"replay,omitempty"` // the newest
}

// StoreOverview is how the store does.
type StoreOverview struct {
	Bytes         int64     `json:"bytes"`
	Free          int64     `json:"free"` // of its file system; 0 on PostgreSQL
	Full          bool      `json:"full"`
	Damaged       int       `json:"damaged"` // records and letters found since the start that cannot be read
	ScrubbedAt    time.Time `json:"scrubbed_at,omitzero"`
	OldestHistory time.Time `json:"oldest_history,omitzero"` // when the oldest event that can be replayed was received
}

func overview(r *request) (any, error) {
	about, usage := r.admin.cfg.Bridge.About(), r.admin.cfg.Bridge.Usage()
	o := Overview{
		Now: r.admin.cfg.Now(), Connectors: []ConnectorOverview{}, Drift: len(r.admin.cfg.Bridge.Unknown()), Version: about.Version, Glossary: about.Glossary,
		Store: StoreOverview{Bytes: usage.Bytes, Free: usage.Free, Full: usage.Full, Damaged: usage.Damaged, ScrubbedAt: usage.Scrubbed},
	}
	o.Reason = r.admin.unready()
	o.Ready = o.Reason == ""
	var err error
	if o.Store.OldestHistory, err = r.admin.cfg.Bridge.OldestHistory(r.ctx); err != nil {
		r.admin.cfg.Log.Debug("the age of history cannot be read", "error", err) // the store says so in Reason
	}
	for _, c := range r.admin.shown() {
		state := c.state()
		view := ConnectorOverview{ConnectorStatus: r.admin.statusOf(c), Configured: c.Sender != nil, Since: state.Since, NextTry: state.NextTry}
		if kept := r.admin.samples.of(c.Name); len(kept) > 0 {
			latest := kept[len(kept)-1]
			for i := len(kept) - 1; i >= max(0, len(kept)-latencyOf); i-- {
				latest.Ack, latest.Delivery = cmp.Or(latest.Ack, kept[i].Ack), cmp.Or(latest.Delivery, kept[i].Delivery)
			}
			view.Latest, view.LagSeconds = &latest, lag(view.Pending-min(view.Pending, uint64(view.Parked)), latest.Out)
		}
		if newest, err := c.Queue.Replay(r.ctx); err == nil && newest.Number > 0 {
			replay := replayOf(c.Name, newest)
			view.Replay = &replay
		}
		o.Connectors = append(o.Connectors, view)
	}
	return o, nil
}

// latencyOf is how many samples are looked through for the newest latencies: with
// little traffic most have none.
const latencyOf = 30

// lag is how long delivery takes for what is pending and not parked, at the present
// rate; nil: nothing is being delivered.
func lag(pending uint64, out float64) *float64 {
	seconds := 0.0
	if pending > 0 {
		if out == 0 {
			return nil
		}
		seconds = float64(pending) / out
	}
	return &seconds
}

// Samples is what /api/samples answers: the last hour of each connector.
type Samples struct {
	Every      float64            `json:"every"` // seconds between two samples
	Connectors []ConnectorSamples `json:"connectors"`
}

// ConnectorSamples are the samples of one connector, the oldest first.
type ConnectorSamples struct {
	Name    string   `json:"name"`
	Samples []Sample `json:"samples"`
}

func lastHour(r *request) (any, error) {
	list, err := each(r.connectors, func(c Connector) (ConnectorSamples, error) {
		return ConnectorSamples{c.Name, r.admin.samples.of(c.Name)}, nil
	})
	return Samples{sampleEvery.Seconds(), list}, err
}

func settings(r *request) (any, error) { return r.admin.cfg.Bridge.About(), nil }
