package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Words in an event's key that tell RudderStack's stand-in what to do with it.
const (
	sick   = "-sick-"   // refused once alone, so that it dies and can be replayed
	poison = "-poison-" // always refused
)

// maxBatch is how many events a batch has at most.
const maxBatch = 100

// maxPoison is how many events of a connector are refused for good. Each is
// sent again with every replay of dead letters.
const maxPoison = 3

// event is one event as Braze sends it. Its key is in it and is all its own,
// while its id may be missing.
type event struct {
	key string
	raw []byte
}

// template is an event of one type, cut open where the id and the key go in.
type template struct{ head, middle, tail string }

// loadTemplates reads an event of each type.
func loadTemplates(t *testing.T) []template {
	t.Helper()
	names, err := filepath.Glob("../../fixtures/events/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	var all []template
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var packed bytes.Buffer
		require.NoError(t, json.Compact(&packed, text))
		var fields struct {
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal(text, &fields))
		head, rest, ok := strings.Cut(packed.String(), `"id":"`+fields.ID+`",`)
		require.True(t, ok, "%s: no id", name)
		middle, tail, ok := strings.Cut(rest, `"properties":{`)
		require.True(t, ok, "%s: no properties", name)
		all = append(all, template{head, middle + `"properties":{`, tail})
	}
	return all
}

// maker makes the batches of one sender: events of every type, with an id of
// either kind or without one, events that came before, and odd ones.
type maker struct {
	templates []template
	name      string // what all keys of this sender begin with
	webhook   bool   // nothing there tells two copies of an event without id apart
	mended    bool   // letters are purged: none may be of an event that will arrive
	rng       *rand.Rand
	made      int
	poisoned  int
	recent    []event // the newest that have an id, for repeats
	oldest    int     // of recent, once it is full
}

// maxRecent is how many events a sender can repeat. All senders of a connector
// together stay far below its window of ids.
const maxRecent = 500

func (m *maker) batch() []event {
	n := 1 + m.rng.IntN(30)
	if m.rng.IntN(20) == 0 {
		n = maxBatch
	}
	events := make([]event, 0, n)
	for len(events) < n {
		if len(m.recent) > 0 && m.rng.IntN(12) == 0 {
			events = append(events, m.recent[m.rng.IntN(len(m.recent))])
			continue
		}
		events = append(events, m.event())
	}
	return events
}

// event makes a new one.
func (m *maker) event() event {
	m.made++
	word := "-"
	number := 1_000_000_000_000_000_000 + m.rng.Int64N(8_000_000_000_000_000_000)
	id, repeats, odd := "", true, func(text string) string { return text }
	switch n := m.rng.IntN(1000); {
	case n < 10 && !m.mended:
		word = sick
	case n < 15 && m.poisoned < maxPoison:
		word = poison
		m.poisoned++
	case n < 50:
		id = fmt.Sprintf(`"id":%d,`, number)
	case n < 90 && !m.webhook:
		id = [...]string{`"id":null,`, `"id":"",`, `"id":" ",`, `"x":0,`}[m.rng.IntN(4)]
		repeats = false
	case n < 100:
		odd = func(text string) string { return strings.Replace(text, `"event_type"`, `"event_typo"`, 1) }
	case n < 110:
		odd = func(text string) string { return strings.Replace(text, `"user":`, `"nobody":`, 1) }
	case n < 150:
		odd = func(text string) string { return strings.Replace(text, `"external_user_id":`, `"other_id":`, 1) }
	case n < 160 && !m.webhook:
		key := fmt.Sprintf("%s-odd-%d", m.name, m.made)
		return event{key, []byte(`"` + key + `"`)}
	}
	key := fmt.Sprintf("%s%s%d", m.name, word, m.made)
	if id == "" {
		id = fmt.Sprintf(`"id":"%s-%016x",`, key, uint64(number))
	}
	t := m.templates[m.rng.IntN(len(m.templates))]
	plain := t.head + id + t.middle + `"` + keyProperty + `":"` + key + `"`
	text := odd(plain + m.padding() + lead(t.tail))
	if !strings.HasPrefix(text, plain) {
		// What dies for good stays in the store for good, so it has no padding.
		text = odd(plain + lead(t.tail))
	}
	e := event{key, []byte(text)}
	if repeats {
		m.remember(e)
	}
	return e
}

// keyProperty is the property that holds an event's key.
const keyProperty = "crash_key"

// lead is what follows the first property.
func lead(tail string) string {
	if strings.HasPrefix(tail, "}") {
		return tail
	}
	return "," + tail
}

// padding makes an event large now and then, and random so that it stays large
// on disk: the store then flushes and compacts, and history fills up.
func (m *maker) padding() string {
	if m.rng.IntN(60) > 0 {
		return ""
	}
	pad := make([]byte, 20_000+m.rng.IntN(60_000))
	for i := range pad {
		pad[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[m.rng.IntN(64)]
	}
	return `,"pad":"` + string(pad) + `"`
}

func (m *maker) remember(e event) {
	if len(m.recent) < maxRecent {
		m.recent = append(m.recent, e)
		return
	}
	m.recent[m.oldest] = e
	m.oldest = (m.oldest + 1) % maxRecent
}

// body is a request's body.
func body(events []event) []byte {
	text := []byte(`{"events":[`)
	for i, e := range events {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, e.raw...)
	}
	return append(text, "]}"...)
}
