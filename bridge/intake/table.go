package intake

import (
	"errors"
	"fmt"
)

// table says whose a request is. It never changes; Reload puts another in its
// place.
type table struct {
	connectors []*connector
	byName     map[string]*connector
	tokens     tokens
	firstOpen  *connector // takes requests from anyone; nil: none does
}

// connector is a Connector with what its requests share.
type connector struct {
	Connector
	*lasting
}

// lasting is what a connector keeps when it is loaded anew, and when one of its
// name comes back after it was gone.
type lasting struct {
	metrics   connectorMetrics
	versions  versions
	refusals  throttle
	failures  throttle
	oversized throttle // of batches with an event that the queue cannot keep
	requests  *share
	appends   *share
	room      room
}

// Reload puts other connectors in the place of those that are there, at once
// and without losing a request: those under way end with the connector that
// they began with, so its queue must stay open until they have ended. A
// connector that keeps its name keeps its metrics. On an error, one of New's,
// nothing changes.
func (in *Intake) Reload(connectors []Connector) error {
	in.reloading.Lock()
	defer in.reloading.Unlock()
	next, err := newTable(connectors)
	if err != nil {
		return err
	}
	var requests, appends, small, large []*share
	for _, c := range next.connectors {
		c.lasting = in.lastingOf(c.Name)
		requests = append(requests, c.requests)
		appends = append(appends, c.appends)
		small = append(small, c.room.small)
		large = append(large, c.room.large)
	}
	in.requests.divide(requests)
	in.appends.divide(appends)
	in.buffers.small.divide(small)
	in.buffers.large.divide(large)
	in.table.Store(next)
	return nil
}

// lastingOf returns what the connectors of a name have in common.
func (in *Intake) lastingOf(name string) *lasting {
	if kept, ok := in.kept[name]; ok {
		return kept
	}
	made := &lasting{
		metrics:  in.metrics.of(name),
		requests: in.requests.add(),
		appends:  in.appends.add(),
		room:     in.buffers.room(),
	}
	in.kept[name] = made
	return made
}

func newTable(connectors []Connector) (*table, error) {
	if len(connectors) == 0 {
		return nil, errors.New("intake has no connector")
	}
	t := &table{byName: make(map[string]*connector, len(connectors))}
	for _, c := range connectors {
		if t.byName[c.Name] != nil || c.Name == "" || c.Queue == nil {
			return nil, fmt.Errorf("connector %q needs a name of its own and a queue", c.Name)
		}
		made := &connector{Connector: c}
		t.byName[c.Name] = made
		t.connectors = append(t.connectors, made)
		if made.open() && t.firstOpen == nil {
			t.firstOpen = made
		}
		for _, token := range c.Tokens {
			if !t.tokens.add(token, made) {
				return nil, fmt.Errorf("connector %q has a token that is empty or taken already", c.Name)
			}
		}
	}
	return t, nil
}

func (c *connector) open() bool { return len(c.Tokens) == 0 }
