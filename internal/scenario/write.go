package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// YAML writes the whole scenario, every value with what it means and where it
// comes from. Parse reads it back.
func (s *Scenario) YAML() []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Scenario %s. Leave out what you do not change: the rest is as in base.", s.Name)
	line("base: %s", Default)
	line("about: %q", s.About)
	line("users: %d", s.Users)
	line("share_without_external_id: %s", s.WithoutExternalID)
	line("pace: %s # of all that is counted an hour", s.Pace)
	line("# Weights of the hours of a day from midnight on, in each user's time zone.")
	line("hours: [%s]", strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Hours), " ", ", "), "[]"))
	line("# In the user's time zone; what was to be sent waits for the end.")
	line("quiet_hours: {from: %q, to: %q, channels: [%s]}", s.Quiet.From, s.Quiet.To, strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Quiet.Channels), " ", ", "), "[]"))
	line("conversion_window: %s", s.ConversionWindow)
	line("# What begins of itself, an hour.")
	line("starts:")
	for _, start := range KnownStarts() {
		line("  %s: %d # %s", start.Name, s.Starts[start.Name], start.What)
	}
	line("# Triggered (per_hour), or to many at once (every, at, local, over, audience).")
	if len(s.Campaigns) == 0 {
		line("campaigns: []")
	} else {
		line("campaigns:")
	}
	for _, c := range s.Campaigns {
		line("  - %s", c.yaml())
	}
	line("# Field transformations of the Current: a string field, and remove or hash.")
	line("field_transformations:%s", map[bool]string{true: " {}"}[len(s.Transforms) == 0])
	for _, name := range slices.Sorted(maps.Keys(s.Transforms)) {
		line("  %s: %s", name, s.Transforms[name])
	}
	s.writeOutcomes(line)
	s.writeRough(line)
	return []byte(b.String())
}

func (c *Campaign) yaml() string {
	text := "{channel: " + string(c.Channel)
	if c.Name != "" {
		text += fmt.Sprintf(", name: %q", c.Name)
	}
	if c.Every == 0 {
		return text + fmt.Sprintf(", per_hour: %d}", c.PerHour)
	}
	return text + fmt.Sprintf(", every: %s, at: %q, local: %t, over: %s, audience: %s}",
		c.Every, c.At, c.Local, c.Over, c.Audience)
}

func (o Outcome) yaml() string { return fmt.Sprintf("{share: %s, after: %s}", o.Share, o.After) }

func (s *Scenario) writeOutcomes(line func(string, ...any)) {
	line("# What follows from what. Outcomes of one thing that exclude each other are")
	line("# tried in this order; each share is of those that are left.")
	line("outcomes:")
	group := ""
	for _, k := range KnownOutcomes() {
		first, name, _ := strings.Cut(k.Name, ".")
		if first != group {
			group = first
			line("  %s:", group)
		}
		line("    %s: %s # %s; %s", name, s.Outcomes[k.Name].yaml(), k.What, k.Source)
	}
}

func (s *Scenario) writeRough(line func(string, ...any)) {
	r := s.Rough
	line("rough_edges:")
	line("  repeats: %s # events that come again", r.Repeats.yaml())
	line("  late: %s # events of devices that were offline", r.Late.yaml())
	line("  renames: {every: %s, for: %s} # of each thing; how long names are null or old", r.Renames.Every, r.Renames.For)
	line("  drift: %s # events with new fields or of a new type", r.Drift)
	line("  huge: %s # custom events near 900 KB", r.Huge)
	line("  strange: %s # free objects with unusual keys and values", r.Strange)
}
