package scenario

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fields says how each key of a scenario is read.
func (s *Scenario) fields(r *reader) map[string]take {
	groups, starts := make(map[string]take), make(map[string]take)
	for _, k := range KnownOutcomes() {
		group, _, _ := strings.Cut(k.Name, ".")
		groups[group] = func(n *yaml.Node, key string) { r.mapping(n, key, s.group(r, group)) }
	}
	for _, start := range KnownStarts() {
		starts[start.Name] = func(n *yaml.Node, key string) {
			count := s.Starts[start.Name]
			scalar(r, &count, parseCount)(n, key)
			s.Starts[start.Name] = count
		}
	}
	return map[string]take{
		"base":                      func(*yaml.Node, string) {},
		"about":                     scalar(r, &s.About, parseText),
		"users":                     scalar(r, &s.Users, parseUsers),
		"share_without_external_id": scalar(r, &s.WithoutExternalID, parseWholePercent),
		"pace":                      scalar(r, &s.Pace, parsePercent),
		"hours":                     s.hours(r),
		"conversion_window":         scalar(r, &s.ConversionWindow, parseSeconds),
		"quiet_hours": func(n *yaml.Node, key string) {
			r.mapping(n, key, map[string]take{
				"from": scalar(r, &s.Quiet.From, ParseClock), "to": scalar(r, &s.Quiet.To, ParseClock),
				"channels": list(r, &s.Quiet.Channels, parseChannel),
			})
		},
		"starts":    func(n *yaml.Node, key string) { r.mapping(n, key, starts) },
		"outcomes":  func(n *yaml.Node, key string) { r.mapping(n, key, groups) },
		"campaigns": s.campaigns(r),
		"rough_edges": func(n *yaml.Node, key string) {
			r.mapping(n, key, map[string]take{
				"repeats": outcome(r, &s.Rough.Repeats), "late": outcome(r, &s.Rough.Late),
				"renames": func(n *yaml.Node, key string) {
					r.mapping(n, key, map[string]take{
						"every": scalar(r, &s.Rough.RenameEvery, parseSeconds), "for": scalar(r, &s.Rough.RenameFor, parseSeconds),
					})
				},
				"drift": scalar(r, &s.Rough.Drift, ParseShare),
				"huge":  scalar(r, &s.Rough.Huge, ParseShare), "strange": scalar(r, &s.Rough.Strange, ParseShare),
			})
		},
	}
}

// group reads the outcomes of one group.
func (s *Scenario) group(r *reader, group string) map[string]take {
	fields := make(map[string]take)
	for _, k := range KnownOutcomes() {
		name, ok := strings.CutPrefix(k.Name, group+".")
		if !ok {
			continue
		}
		fields[name] = func(n *yaml.Node, key string) {
			o := s.Outcomes[k.Name]
			outcome(r, &o)(n, key)
			s.Outcomes[k.Name] = o
		}
	}
	return fields
}

// outcome reads a share alone, or a share and a span.
func outcome(r *reader, to *Outcome) take {
	return func(n *yaml.Node, key string) {
		if n.Kind == yaml.ScalarNode {
			scalar(r, &to.Share, ParseShare)(n, key)
			return
		}
		r.mapping(n, key, map[string]take{"share": scalar(r, &to.Share, ParseShare), "after": scalar(r, &to.After, ParseSpan)})
	}
}

func list[T any](r *reader, to *[]T, parse func(string) (T, error)) take {
	return func(n *yaml.Node, key string) {
		if n.Kind != yaml.SequenceNode {
			r.mistake(n, key, "must be a list")
			return
		}
		*to = make([]T, len(n.Content))
		for i, item := range n.Content {
			scalar(r, &(*to)[i], parse)(resolve(item), fmt.Sprintf("%s[%d]", key, i))
		}
	}
}

func (s *Scenario) hours(r *reader) take {
	return func(n *yaml.Node, key string) {
		var weights []int
		list(r, &weights, parseCount)(n, key)
		total := 0
		for _, w := range weights {
			if w > 1000 {
				r.mistake(n, key, "%d is too large: weights go from 0 to 1000", w)
			}
			total += w
		}
		if n.Kind == yaml.SequenceNode && (len(weights) != len(s.Hours) || total == 0) {
			r.mistake(n, key, "must be 24 weights, from midnight on, not all zero; here are %d", len(weights))
			return
		}
		copy(s.Hours[:], weights)
	}
}

// MaxCampaigns is how many campaigns a scenario may have.
const MaxCampaigns = 1000

func (s *Scenario) campaigns(r *reader) take {
	return func(n *yaml.Node, key string) {
		if n.Kind != yaml.SequenceNode || len(n.Content) > MaxCampaigns {
			r.mistake(n, key, "must be a list of at most %d campaigns", MaxCampaigns)
			return
		}
		s.Campaigns = make([]Campaign, len(n.Content))
		for i, item := range n.Content {
			r.campaign(resolve(item), fmt.Sprintf("%s[%d]", key, i), &s.Campaigns[i])
		}
	}
}

func (r *reader) campaign(n *yaml.Node, key string, c *Campaign) {
	*c = Campaign{Over: 30 * mins, Audience: Whole}
	before := len(r.mistakes)
	r.mapping(n, key, map[string]take{
		"channel": scalar(r, &c.Channel, parseChannel), "name": scalar(r, &c.Name, parseText),
		"per_hour": scalar(r, &c.PerHour, parseCount), "every": scalar(r, &c.Every, parseSeconds),
		"at": scalar(r, &c.At, ParseClock), "local": scalar(r, &c.Local, parseBool),
		"over": scalar(r, &c.Over, parseSeconds), "audience": scalar(r, &c.Audience, ParseShare),
	})
	if len(r.mistakes) > before {
		return
	}
	switch {
	case c.Channel == "":
		r.mistake(n, key, "needs a channel: one of %s", strings.Join(sendingChannels(), ", "))
	case c.PerHour > 0 && c.Every > 0:
		r.mistake(n, key, "has both per_hour and every: a campaign is triggered, or it goes to many at once")
	case c.Every == 0:
		for _, only := range []string{"at", "local", "over", "audience"} {
			if find(n, only) != nil {
				r.mistake(n, join(key, only), "needs every, such as every: 1d")
			}
		}
	case c.Every%day != 0:
		r.mistake(n, join(key, "every"), "must be whole days")
	case c.Over < mins || c.Over > 12*hour:
		r.mistake(n, join(key, "over"), "must be from 1m to 12h")
	}
}

// check looks at what only the whole can tell.
func (r *reader) check(root *yaml.Node, s *Scenario) {
	if s.Rough.RenameEvery > 0 && (s.Rough.RenameFor > s.Rough.RenameEvery || s.Rough.RenameFor > hour) {
		r.mistake(find(root, "rough_edges"), "rough_edges.renames.for", "must be at most 1h, and not longer than every")
	}
	if q := s.Quiet; q.From != q.To && (q.To-q.From+1440)%1440 > 20*60 {
		r.mistake(find(root, "quiet_hours"), "quiet_hours", "leave less than four hours a day to send in")
	}
}
