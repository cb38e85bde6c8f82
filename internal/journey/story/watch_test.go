package story

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
	"github.com/currentsbridge/currentsbridge/internal/journey/journeytest"
	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
)

// eventful is a small smooth workspace in which much happens to few.
//
//go:embed testdata/eventful.yaml
var eventful string

func fields(e journeytest.Event, names ...string) string {
	var key string
	for _, name := range names {
		key += " " + e.Text(name)
	}
	return key
}

// cause says what must have happened before an event, and by which fields both are
// known to belong together.
type cause struct {
	effect     string
	causes, by []string
}

func causes(t *testing.T) (all []cause) {
	for line := range strings.Lines(casefile.Text(t, "testdata/causes.txt")) {
		effect, line, _ := strings.Cut(line, " ← ")
		from, by, _ := strings.Cut(line, ": ")
		all = append(all, cause{effect, strings.Split(from, ", "), strings.Fields(by)})
	}
	require.NotEmpty(t, all)
	return all
}

// watch checks one event after another; at the end of the test it checks its counts.
type watch func(journeytest.Event)

// TestStoriesAreConsistent checks one stream in several ways at once, as
// making and reading the events takes most of the time.
func TestStoriesAreConsistent(t *testing.T) {
	s := stories(t, 1, journeytest.Scenario(t, eventful))
	watches := []watch{
		watchCauses(t), watchSubscriptions(t), watchIDs(t), watchCanvases(t, s), watchValues(t), watchSessions(t), watchControlGroups(t),
	}
	for e := range first(t, streamOf(20_000), s) {
		for _, see := range watches {
			see(e)
		}
	}
}

// watchCauses finds the cause of each event earlier in the stream, with the same
// ids.
func watchCauses(t *testing.T) watch {
	asked := make(map[string][]cause) // by the type of the cause
	wanted := make(map[string]cause)
	for _, c := range causes(t) {
		wanted[c.effect] = c
		for _, from := range c.causes {
			asked[from] = append(asked[from], c)
		}
	}
	happened := make(map[string]int64)
	followed := make(map[string]int)
	last := int64(0)
	t.Cleanup(func() {
		for effect := range wanted {
			require.NotZero(t, followed[effect], "%s never came", effect)
		}
	})
	return func(e journeytest.Event) {
		if e.Time < last {
			t.Fatalf("time goes back without a device that was offline: %v", e)
		}
		last = e.Time
		if c, ok := wanted[e.Type]; ok {
			at, found := happened[c.effect+"|"+fields(e, c.by...)]
			if !found || at > e.Time {
				t.Fatalf("%s has no cause: %v", e.Type, e)
			}
			followed[e.Type]++
			if strings.HasSuffix(e.Type, "Conversion") && e.Type != "users.canvas.Conversion" && e.Time-at > 3*86400 {
				t.Fatalf("%d seconds after its cause: %v", e.Time-at, e)
			}
		}
		for _, c := range asked[e.Type] {
			happened[c.effect+"|"+fields(e, c.by...)] = e.Time
		}
	}
}

// watchSubscriptions reads the state of each person from the events alone.
func watchSubscriptions(t *testing.T) watch {
	families := map[string]string{
		"email": "email", "pushnotification": "push", "sms": "sms", "rcs": "rcs", "whatsapp": "whatsapp", "line": "line",
	}
	closed, left := make(map[string]bool), make(map[string]bool)
	closings, openings, sends := 0, 0, 0
	t.Cleanup(func() {
		require.Greater(t, closings, 50)
		require.Greater(t, openings, 25)
		require.Greater(t, sends, 1200)
		require.Greater(t, len(left), 5)
	})
	return func(e journeytest.Event) {
		user := e.Text("user_id")
		if left[user] {
			t.Fatalf("%s has left, and yet: %v", user, e)
		}
		family, kind, _ := strings.Cut(strings.TrimPrefix(e.Type, plot.Messages), ".")
		key := user + " " + families[family]
		switch {
		case kind == "Send" && families[family] != "":
			sends++
			if closed[key] {
				t.Fatalf("%s was unsubscribed: %v", key, e)
			}
		case kind == "Unsubscribe", kind == "MarkAsSpam", kind == "InboundReceive" && e.Text("message_body") == "STOP",
			family == "pushnotification" && kind == "Bounce":
			closed[key] = true
			closings++
		case e.Type == plot.Uninstall:
			closed[user+" push"] = true
		case strings.HasSuffix(e.Type, "StateChange") && strings.HasPrefix(e.Type, plot.Behaviors+"subscription"):
			key = user + " " + e.Text("channel")
			if closed[key] = e.Text("subscription_status") == "Unsubscribed"; !closed[key] {
				openings++
			}
		case strings.HasSuffix(e.Type, "TokenStateChange"):
			closed[user+" push"] = e.Text("push_token_state_change_type") == "remove"
		case e.Type == "users.UserDeleteRequest", e.Type == "users.UserOrphan":
			left[user] = true
		}
	}
}

// watchValues holds values against what happened before.
func watchValues(t *testing.T) watch {
	sent, firsts, surveys, seen := make(map[string]int64), make(map[string]bool), make(map[string]string), make(map[string]int)
	check := func(ok bool, what string, e journeytest.Event) {
		if seen[what]++; !ok {
			t.Fatalf("%s: %v", what, e)
		}
	}
	t.Cleanup(func() {
		require.Len(t, seen, 6, "%v", seen)
	})
	return func(e journeytest.Event) {
		dispatch := e.Text("user_id") + " " + e.Text("dispatch_id") + " " + e.Text("message_variation_id")
		if strings.HasSuffix(e.Type, ".Send") {
			sent[dispatch] = e.Time
		}
		if at, ok := e.Properties["send_time"]; ok {
			check(at == float64(sent[dispatch]), "send_time is that of the send", e)
		}
		if unique, ok := e.Properties["is_unique"]; ok {
			key := e.Type + fields(e, "user_id", "campaign_id", "canvas_step_id", "message_variation_id")
			check(unique == !firsts[key], "only the first is unique", e)
			firsts[key] = true
		}
		switch source := e.Text("state_change_source"); {
		case e.Type == plot.GlobalOff[:strings.IndexByte(plot.GlobalOff, '#')] && source != "":
			check(source == "Subscription Page", "a link leads to the Subscription Page", e)
		case e.Type == plot.GroupState:
			check(source == "Inbound Message" || source == "Preference Center" || source == "Subscription Page", "groups change by STOP or preferences", e)
		}
		if session := e.Text("survey_session_id"); session != "" {
			check(surveys[session] != "completed", "nothing is answered after the last question", e)
			surveys[session] = e.Text("survey_completion_status")
		}
		if strings.HasSuffix(e.Type, ".Abort") && strings.HasPrefix(e.Text("abort_log"), "Frequency") {
			check(e.Text("abort_type") == "frequency_capped", "type and log of an abort agree", e)
		}
	}
}

// watchIDs holds all events of one dispatch to one person, and of one entry,
// session or agent's run, against each other.
func watchIDs(t *testing.T) watch {
	groups := map[string][]string{
		"dispatch_id": {"send_id", "campaign_id", "canvas_id", "canvas_step_id", "canvas_variation_id", "message_variation_id",
			"campaign_name", "canvas_name", "content_card_id", "message_id", "ip_pool", "sending_ip", "device_id", "external_user_id"},
		"canvas_entry_id": {"canvas_id", "canvas_variation_id", "external_user_id"},
		"session_id":      {"app_id", "device_id", "platform", "device_model", "external_user_id"},
		"request_id":      {"agent_id", "agent_name"},
	}
	known, met := make(map[string]string), make(map[string]int)
	t.Cleanup(func() {
		for by, fields := range groups {
			for _, field := range fields {
				require.NotZero(t, met[by+" "+field], "%s was never held against another of one %s", field, by)
			}
		}
	})
	return func(e journeytest.Event) {
		for by, fields := range groups {
			id := e.Text(by)
			if id == "" {
				continue
			}
			who := e.Text("user_id")
			if by == "request_id" {
				who = ""
			}
			for _, field := range fields {
				v := e.Text(field)
				if v == "" || field == "message_id" && strings.HasSuffix(e.Type, "InboundReceive") {
					continue
				}
				key := who + " " + id + " " + field
				if before, ok := known[key]; ok {
					met[by+" "+field]++
					if before != v {
						t.Fatalf("%s was %s before %v", key, before, e)
					}
				}
				known[key] = v
			}
		}
	}
}

// watchCanvases follows each entry from its first step to its end.
func watchCanvases(t *testing.T, s *Stories) watch {
	place := make(map[string]int)
	for _, c := range s.pop.Canvases {
		for i, step := range c.Steps {
			place[step.ID] = i
		}
	}
	at, over, next := make(map[string]int), make(map[string]bool), make(map[string]string)
	exits, controlled := make(map[string]int), 0
	t.Cleanup(func() {
		require.Len(t, exits, 3, "%v", exits)
		require.Greater(t, exits["canvas_completed"], 40)
		require.Positive(t, controlled)
	})
	return func(e journeytest.Event) {
		switch e.Type {
		case "users.canvas.Entry":
			if e.Properties["in_control_group"] == true {
				controlled++
			}
		case "users.canvasstep.Progression":
			entry, step, kind := e.Text("canvas_entry_id"), place[e.Text("canvas_step_id")], e.Text("progression_type")
			require.False(t, over[entry], "%v", e)
			before, begun := at[entry]
			switch kind {
			case "entered":
				require.False(t, begun)
				require.Zero(t, step)
				require.Equal(t, true, e.Properties["is_canvas_entry"])
			case "exited":
				require.Equal(t, before, step)
				over[entry] = true
				exits[e.Text("exit_reason")]++
			default:
				require.True(t, begun)
				require.Equal(t, before+1, step)
				require.Equal(t, next[entry], e.Text("canvas_step_id"))
			}
			at[entry], next[entry] = step, e.Text("next_step_id")
		}
	}
}

// watchSessions holds the duration of each session against its events.
func watchSessions(t *testing.T) watch {
	began, n := make(map[string]int64), 0
	t.Cleanup(func() { require.Greater(t, n, 1000) })
	return func(e journeytest.Event) {
		switch e.Type {
		case plot.Visit:
			began[e.Text("session_id")] = e.Time
		case plot.VisitEnd:
			n++
			require.InDelta(t, float64(e.Time-began[e.Text("session_id")]), e.Properties["duration"], 0)
		}
	}
}

// watchControlGroups finds messages to people of the control group of their campaign
// or Canvas at any time, and people whose group or variation changes.
func watchControlGroups(t *testing.T) watch {
	held, reached, variation := make(map[string]bool), make(map[string]bool), make(map[string]string)
	controlled, entries, again := make(map[string]bool), make(map[string]int), 0
	t.Cleanup(func() {
		require.Greater(t, len(held), 50)
		require.Greater(t, again, 250)
		n := 0
		for key, in := range controlled {
			if in && entries[key] > 1 {
				n++
			}
		}
		require.Greater(t, n, 3)
	})
	return func(e journeytest.Event) {
		key := e.Text("user_id") + " " + e.Text("campaign_id") + e.Text("canvas_id")
		wrong := ""
		switch {
		case e.Type == plot.Enrolled && reached[key]:
			wrong = "a message came before"
		case e.Type == plot.Enrolled:
			held[key] = true
		case e.Type == "users.canvas.Entry":
			in := e.Properties["in_control_group"] == true
			if entries[key]++; entries[key] > 1 && controlled[key] != in {
				wrong = "the other group the time before"
			}
			controlled[key] = in
		case e.Type == "users.canvasstep.Progression" && controlled[key]:
			wrong = "in the control group"
		case strings.HasPrefix(e.Type, plot.Messages) && (held[key] || controlled[key]):
			wrong = "a message to the control group"
		case strings.HasPrefix(e.Type, plot.Messages) && e.Text("campaign_id") != "":
			reached[key] = true
		}
		if id := e.Text("message_variation_id"); id != "" && e.Text("campaign_id") != "" {
			if before, ok := variation[key]; ok {
				again++
				if before != id {
					wrong = "another variation than before"
				}
			}
			variation[key] = id
		}
		if wrong != "" {
			t.Fatalf("%s: %v", wrong, e)
		}
	}
}

// TestControlGroupsOfAllOrNone still lets every type happen.
func TestControlGroupsOfAllOrNone(t *testing.T) {
	for _, share := range []string{"0%", "30%", "100%"} {
		t.Run(share, func(t *testing.T) {
			s := stories(t, 9, journeytest.Scenario(t, "base: quiet\noutcomes: {email: {control: "+share+"}, canvas: {control: "+share+"}, in_app_message: {control: "+share+"}}\n"))
			count := make(map[string]int)
			var raw []byte
			for range 20_000 {
				var typ string
				raw, typ, _ = s.Next(raw[:0])
				count[typ]++
			}
			require.Empty(t, missing(t, count))
		})
	}
}
