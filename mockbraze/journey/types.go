package journey

import (
	"fmt"
	"path"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockbraze/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// eventType is an event type made ready for writing.
type eventType struct {
	name       string
	key        uint64
	opening    string // the JSON text up to the id
	offset     uint64 // where in its ten this type's full moments are
	user       []field
	properties []field

	hasCampaign, hasCanvas bool
	channel                population.Channel // empty where the type has no channel of its own
	channels               []population.Channel
	platforms              []population.Platform // at least two
}

// field is one field made ready for writing.
type field struct {
	label    string // "name":
	key      uint64
	required bool
	links    bool // in a story it is always there
	// fits says whether the field goes with a moment; nil: always.
	fits func(m *moment) bool
	// value appends the field's JSON value.
	value valueFunc
}

// valueFunc appends a JSON value for a moment; d is the field's own Draw.
type valueFunc func(dst []byte, m *moment, d population.Draw) []byte

// Select returns the names of the glossary's event types that match at least
// one of the patterns (as in path.Match; a star goes over dots too), in the
// glossary's order. No patterns select every current type; a retired one is
// selected by its whole name only. A pattern that is malformed or matches
// nothing is an error that names it.
func Select(g *schemas.Glossary, patterns []string) ([]string, error) {
	chosen := make(map[string]bool)
	for _, pattern := range patterns {
		found := false
		for i := range g.Events {
			ok, err := path.Match(pattern, g.Events[i].Name)
			if err != nil {
				return nil, fmt.Errorf("event type pattern %q: %w", pattern, err)
			}
			if ok && (g.Events[i].Retired == "" || pattern == g.Events[i].Name) {
				chosen[g.Events[i].Name] = true
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("no event type of the glossary matches %q", pattern)
		}
	}
	if len(patterns) == 0 {
		return g.Current(), nil
	}
	var names []string
	for i := range g.Events {
		if chosen[g.Events[i].Name] {
			names = append(names, g.Events[i].Name)
		}
	}
	return names, nil
}

// compile makes an event type ready.
func compile(t *schemas.EventType, values map[string]valueFunc, fits map[string]func(*moment) bool) eventType {
	key := population.Key(t.Name)
	e := eventType{
		name:      t.Name,
		key:       key,
		opening:   string(appendString([]byte(`{"event_type":`), t.Name)) + `,"id":"`,
		offset:    key % fullEvery,
		channel:   channelOf(t.Name),
		channels:  []population.Channel{population.Email, population.Email, population.SMS, population.WhatsApp, population.Push},
		platforms: platformsOf(t.Name),
	}
	if strings.Contains(t.Name, "subscriptiongroup") {
		e.channels = []population.Channel{population.Email, population.SMS, population.WhatsApp, population.RCS, population.LINE}
	}
	for i := range t.User {
		e.user = append(e.user, compileField(t.Name, &t.User[i], values, fits))
	}
	for i := range t.Properties {
		f := &t.Properties[i]
		e.properties = append(e.properties, compileField(t.Name, f, values, fits))
		e.hasCampaign = e.hasCampaign || f.Name == "campaign_id"
		e.hasCanvas = e.hasCanvas || strings.HasPrefix(f.Name, "canvas_")
	}
	return e
}

// compileField finds how a field's values are made: by type.name or name and
// type where a name means two things, by name, or from its format alone.
func compileField(event string, f *schemas.Field, values map[string]valueFunc, fits map[string]func(*moment) bool) field {
	out := field{
		label:    string(appendString(nil, f.Name)) + ":",
		key:      population.Key(f.Name),
		required: f.Required,
		links:    links(f.Name),
		fits:     fits[f.Name],
	}
	if special, ok := fits[event+"/"+f.Name]; ok {
		out.fits = special
	}
	for _, name := range []string{event + "/" + f.Name, f.Name + ":" + f.Type, f.Name} {
		if value, ok := values[name]; ok {
			out.value = value
			return out
		}
	}
	out.value = fallback(f)
	return out
}

// channelOf says which channel the messages of an event type go out on.
func channelOf(name string) population.Channel {
	kind, ok := strings.CutPrefix(name, "users.messages.")
	if !ok {
		return ""
	}
	kind, _, _ = strings.Cut(kind, ".")
	switch kind {
	case "email":
		return population.Email
	case "pushnotification":
		return population.Push
	case "inappmessage", "newsfeedcard":
		return population.InApp
	case "contentcard":
		return population.ContentCard
	case "banner":
		return population.Banner
	case "sms":
		return population.SMS
	case "rcs":
		return population.RCS
	case "whatsapp":
		return population.WhatsApp
	case "line":
		return population.LINE
	case "webhook":
		return population.Webhook
	case "featureflag":
		return population.FeatureFlag
	case "liveactivity":
		return population.LiveActivity
	default:
		return population.Push
	}
}

// platformsOf says on which devices an event type can happen. The first shows
// what belongs to a phone, the second what belongs to a browser, where there
// is one.
func platformsOf(name string) []population.Platform {
	switch {
	case strings.Contains(name, "liveactivity"), strings.HasSuffix(name, "IosForeground"):
		return []population.Platform{population.IOS, population.IOS}
	case strings.Contains(name, "pushnotification"):
		return []population.Platform{population.IOS, population.Web, population.Android, population.Kindle}
	case strings.HasSuffix(name, "Uninstall"), strings.HasSuffix(name, "Location"),
		strings.HasSuffix(name, "InstallAttribution"), strings.Contains(name, "newsfeedcard"):
		return []population.Platform{population.IOS, population.Android}
	default:
		return []population.Platform{
			population.IOS, population.Web, population.Android,
			population.Kindle, population.TVOS, population.Roku,
		}
	}
}
