package main

import (
	"encoding/json"
	"net/http"
	"sync"
)

// control is the control API. Orders come one at a time.
type control struct {
	mu       sync.Mutex
	proxy    *proxy
	firewall *firewall
}

func newControl(p *proxy, f *firewall) http.Handler {
	c := &control{proxy: p, firewall: f}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rule", c.ordered(func(*http.Request) (any, error) { return p.rule.get(), nil }))
	mux.HandleFunc("PUT /rule", c.ordered(c.put))
	mux.HandleFunc("POST /reset", c.ordered(func(*http.Request) (any, error) { p.reset(); return c.stats() }))
	mux.HandleFunc("GET /stats", c.ordered(func(*http.Request) (any, error) { return c.stats() }))
	return mux
}

// ordered answers with what do returns, as JSON.
func (c *control) ordered(do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer, err := do(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer = map[string]string{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(answer) // who has left needs no answer
	}
}

// put replaces the rule; what is left out is not done any more.
func (c *control) put(r *http.Request) (any, error) {
	var next rule
	read := json.NewDecoder(r.Body)
	read.DisallowUnknownFields()
	if err := read.Decode(&next); err != nil {
		return nil, err
	}
	if err := next.check(); err != nil {
		return nil, err
	}
	if next.Loss != c.proxy.rule.get().Loss {
		if err := c.firewall.lose(next.Loss); err != nil {
			return nil, err
		}
	}
	c.proxy.rule.set(next)
	return next, nil
}

func (c *control) stats() (any, error) {
	s := c.proxy.now()
	var err error
	s.Dropped, err = c.firewall.dropped()
	return s, err
}
