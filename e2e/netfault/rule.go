package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// rule is what is done to what passes.
type rule struct {
	// Latency is how much later everything arrives, each way; with Jitter a
	// time between that and their sum.
	Latency span `json:"latency,omitempty"`
	Jitter  span `json:"jitter,omitempty"`
	// BytesPerSecond is how much passes a connection, each way; 0 is no limit.
	BytesPerSecond int `json:"bytes_per_second,omitempty"`
	// Reset is the chance, for each piece of data that arrives, that its
	// connection is reset instead.
	Reset float64 `json:"reset,omitempty"`
	// Silent makes every connection on which something is sent fall silent for
	// good: it stays open, and nothing passes any more, also once the rule has
	// ended.
	Silent bool `json:"silent,omitempty"`
	// LoseAnswers makes every connection fall silent for good when an answer
	// comes back on it: what was asked for is done, and nobody learns it.
	LoseAnswers bool `json:"lose_answers,omitempty"`
	// Loss is the share of packets that the kernel drops on their way in here,
	// from both sides.
	Loss float64 `json:"loss,omitempty"`
}

// span is a duration that is text such as "200ms" in JSON.
type span time.Duration

// MarshalJSON implements json.Marshaler.
func (s span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *span) UnmarshalJSON(text []byte) error {
	var word string
	if err := json.Unmarshal(text, &word); err != nil {
		return err
	}
	d, err := time.ParseDuration(word)
	*s = span(d)
	return err
}

func (r rule) check() error {
	var wrong []error
	if r.Latency < 0 || r.Jitter < 0 || r.BytesPerSecond < 0 {
		wrong = append(wrong, errors.New("latency, jitter and bytes_per_second cannot be negative"))
	}
	if !(r.Reset >= 0 && r.Reset <= 1) || !(r.Loss >= 0 && r.Loss <= 1) {
		wrong = append(wrong, fmt.Errorf("reset and loss are shares from 0 to 1, not %v and %v", r.Reset, r.Loss))
	}
	return errors.Join(wrong...)
}

// delay is how much later a piece of data arrives.
func (r rule) delay() time.Duration {
	d := time.Duration(r.Latency)
	if r.Jitter > 0 {
		d += rand.N(time.Duration(r.Jitter))
	}
	return d
}

// passing is how long n bytes take to pass.
func (r rule) passing(n int) time.Duration {
	if r.BytesPerSecond == 0 {
		return 0
	}
	return time.Duration(n) * time.Second / time.Duration(r.BytesPerSecond)
}

// silences says whether a piece of data on its way up or down never arrives.
func (r rule) silences(up bool) bool { return r.Silent || r.LoseAnswers && !up }

func (r rule) resets() bool { return r.Reset > 0 && rand.Float64() < r.Reset }

// inForce is the rule that holds now.
type inForce struct {
	mu   sync.Mutex
	rule rule
}

func (f *inForce) get() rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rule
}

func (f *inForce) set(r rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule = r
}
