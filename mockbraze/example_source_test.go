package mockbraze_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockbraze/scenario"
)

// counting is a Source of numbered events.
type counting struct {
	from mockbraze.SourceConfig
	n    int
}

func (s *counting) Next() mockbraze.Event {
	s.n++
	id := fmt.Sprintf("%d-%d-%d", s.from.Seed, s.from.Stream, s.n)
	return mockbraze.Event{Raw: fmt.Appendf(nil, `{"event_type":%q,"id":%q}`, s.from.Types[s.n%len(s.from.Types)], id)}
}

// A Current may take its events from anywhere. Here they happen by themselves.
func ExampleWithScenario() {
	var arrived atomic.Int64
	target := bridge(&arrived)
	defer target.Close()
	t := &exampleT{}
	defer t.end()
	open := func(c mockbraze.SourceConfig) (mockbraze.Source, error) {
		if len(c.Glossary.Events) == 0 || c.Population.Users() == 0 || !c.Reference.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
			return nil, errors.New("there is nothing to tell")
		}
		return &counting{from: c}, nil
	}
	quiet, err := scenario.Builtin("quiet")
	if err != nil {
		fmt.Println(err)
		return
	}
	quiet.Users = 100
	braze := mockbraze.Start(t, mockbraze.WithSeed(7), mockbraze.WithReference(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)),
		mockbraze.WithScenario("counting", open), mockbraze.WithScenario("village", mockbraze.Stories(quiet)))
	fmt.Println(braze.Scenarios()[0] == mockbraze.Rounds, slices.Contains(braze.Scenarios(), "village"))

	var ids []string
	first := make(chan struct{})
	current := braze.Launch(mockbraze.Current{
		URL: target.URL, Scenario: "counting", Rate: 1000, Batch: 5, Connections: 1,
		OnSend: func(events []mockbraze.Event) {
			if ids == nil {
				for _, e := range events {
					ids = append(ids, e.ID)
				}
				close(first)
			}
		},
		Events: []string{"users.canvas.Entry"},
	})
	<-first
	fmt.Println(ids, current.SetRate(0), current.SetRate(mockbraze.MaxRate+1) == nil)

	village := braze.Launch(mockbraze.Current{URL: target.URL, Scenario: "village"})
	fmt.Println(village.Send(context.Background(), 200), village.Report().Counts.Sent)
	_, err = braze.Create(mockbraze.Current{URL: target.URL, Scenario: "city"})
	fmt.Println(errors.Is(err, mockbraze.ErrScenario))
	// Output:
	// true true
	// [7-0-1 7-0-2 7-0-3 7-0-4 7-0-5] <nil> false
	// <nil> 200
	// true
}

// A file of bodies as a Current posts them, of a small workspace with news in
// its events.
func ExampleEmission() {
	steady, err := scenario.Builtin("steady")
	if err != nil {
		fmt.Println(err)
		return
	}
	var out bytes.Buffer
	made := 0
	err = mockbraze.Emit(context.Background(), &out, mockbraze.Emission{
		Events: 2000, Types: []string{"users.messages.*"}, Seed: 1, Scenario: steady, Users: 500,
		Drift: scenario.Whole / 10, Batches: true, Progress: func(more int) { made += more },
	})
	most := 0
	for line := range strings.Lines(out.String()) {
		most = max(most, strings.Count(line, `"event_type"`))
	}
	fmt.Println(err, made, strings.Count(out.String(), `"event_type"`), most <= mockbraze.MaxBatch)
	// Output: <nil> 2000 2000 true
}

// Where people reach the page under a name of their own, it is to be allowed.
func ExampleWithAllowedHosts() {
	braze, err := mockbraze.New(mockbraze.WithAllowedHosts("braze.example.com"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer braze.Close()
	for _, host := range []string{"localhost:8091", "mockbraze:8091", "braze.example.com", "evil.example.net"} {
		answer := httptest.NewRecorder()
		braze.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://"+host+"/api/currents", nil))
		fmt.Println(host, answer.Code)
	}
	// Output:
	// localhost:8091 200
	// mockbraze:8091 200
	// braze.example.com 200
	// evil.example.net 403
}
