package journey

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// watchControlGroups looks for messages to those who were held back, from the
// same campaign or Canvas at any time, and for people of whom a campaign or
// Canvas thinks otherwise the next time.
func watchControlGroups(t *testing.T) watch {
	held, reached, variation := make(map[string]bool), make(map[string]bool), make(map[string]string)
	controlled, entries, again := make(map[string]bool), make(map[string]int), 0
	see := func(e event) {
		key := e.text("user_id") + " " + e.text("campaign_id") + e.text("canvas_id")
		wrong := ""
		switch {
		case e.Type == enrolled && reached[key]:
			wrong = "a message came before"
		case e.Type == enrolled:
			held[key] = true
		case e.Type == "users.canvas.Entry":
			in := e.Properties["in_control_group"] == true
			if entries[key]++; entries[key] > 1 && controlled[key] != in {
				wrong = "the other group the time before"
			}
			controlled[key] = in
		case e.Type == "users.canvasstep.Progression" && controlled[key]:
			wrong = "in the control group"
		case strings.HasPrefix(e.Type, messages) && (held[key] || controlled[key]):
			wrong = "held back, and yet"
		case strings.HasPrefix(e.Type, messages) && e.text("campaign_id") != "":
			reached[key] = true
		}
		if id := e.text("message_variation_id"); id != "" && e.text("campaign_id") != "" {
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
	return watch{see, func(t *testing.T) {
		require.Greater(t, len(held), 100)
		require.Greater(t, again, 500)
		n := 0
		for key, in := range controlled {
			if in && entries[key] > 1 {
				n++
			}
		}
		require.Greater(t, n, 10)
	}}
}

// TestControlGroupsOfAllOrNone still lets every type happen.
func TestControlGroupsOfAllOrNone(t *testing.T) {
	for _, share := range []string{"0%", "30%", "100%"} {
		t.Run(share, func(t *testing.T) {
			s := stories(t, 9, parsed(t, "base: quiet\noutcomes: {email: {control: "+share+"}, canvas: {control: "+share+"}, in_app_message: {control: "+share+"}}\n"))
			count := make(map[string]int)
			var buf []byte
			for range 20_000 {
				event, typ, _ := s.Next(buf[:0])
				buf = event
				count[typ]++
			}
			require.Len(t, count, len(glossary(t).Current()), "%v", missing(s, count))
		})
	}
}
