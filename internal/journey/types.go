package journey

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/internal/journey/plot"
	"github.com/currentsbridge/currentsbridge/internal/population"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// eventType is an event type, prepared for writing.
type eventType struct {
	name       string
	key        uint64
	offset     uint64  // where in its ten this type's full moments are
	user       []field // in the alphabet's order
	properties []field

	hasCampaign, hasCanvas     bool
	needsCampaign, needsCanvas bool               // has required fields of one
	aborts                     []string           // the values of abort_type
	unique                     bool               // says whether it is the first of its kind for the person and the message
	channel                    population.Channel // empty where the type has no channel of its own
	channels                   []population.Channel
	platforms                  []population.Platform // at least two
}

// field is a field, prepared for writing.
type field struct {
	label    string // ,"name":
	key      uint64
	required bool
	external bool                 // the external id of a user
	user     bool                 // Braze's id of a user
	links    bool                 // in a story it is always there, where it fits
	alone    bool                 // it is always there, where it fits
	fits     func(m *moment) bool // whether the field goes with a moment; nil is always
	value    valueFunc
}

// valueFunc appends a JSON value for a moment; d is the field's own Draw.
type valueFunc func(dst []byte, m *moment, d population.Draw) []byte

// Select returns the names of the glossary's event types that match at least
// one of the patterns (as in path.Match; a star goes over dots too), in the
// glossary's order. No patterns select every type. Retired types are selected
// with retired, or by their whole names. A pattern that is malformed or matches
// nothing is an error that names it.
func Select(g *schemas.Glossary, patterns []string, retired bool) (names []string, err error) {
	found := make([]bool, len(patterns))
	for _, e := range g.Events {
		current := retired || e.Retired == ""
		chosen := len(patterns) == 0 && current
		for i, pattern := range patterns {
			ok, err := path.Match(pattern, e.Name)
			if err != nil {
				return nil, fmt.Errorf("event type pattern %q: %w", pattern, err)
			}
			if ok && (current || pattern == e.Name) {
				chosen, found[i] = true, true
			}
		}
		if chosen {
			names = append(names, e.Name)
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return nil, fmt.Errorf("no event type of the glossary matches %q", patterns[i])
	}
	return names, nil
}

func compile(t *schemas.EventType, values map[string]valueFunc, fits map[string]func(*moment) bool) eventType {
	key := population.Key(t.Name)
	e := eventType{
		name:      t.Name,
		key:       key,
		offset:    key % fullEvery,
		channel:   plot.ChannelOf(t.Name),
		channels:  []population.Channel{population.Email, population.Email, population.SMS, population.WhatsApp, population.Push},
		platforms: plot.PlatformsOf(t.Name),
	}
	if strings.HasSuffix(t.Name, ".Abort") {
		e.aborts = abortTypes(t.Name, e.channel)
	}
	if strings.Contains(t.Name, "subscriptiongroup") {
		e.channels = GroupChannels()
	}
	fields := func(list []schemas.Field) (all []field) {
		for i := range list {
			f := &list[i]
			all = append(all, compileField(t.Name, f, values, fits))
			ofCampaign := strings.HasPrefix(f.Name, "campaign_")
			ofCanvas := strings.HasPrefix(f.Name, "canvas_") || slices.Contains(canvasFields(), f.Name)
			e.hasCampaign, e.needsCampaign = e.hasCampaign || ofCampaign, e.needsCampaign || ofCampaign && f.Required
			e.hasCanvas, e.needsCanvas = e.hasCanvas || ofCanvas, e.needsCanvas || ofCanvas && f.Required
			e.unique = e.unique || f.Name == "is_unique"
		}
		slices.SortFunc(all, func(a, b field) int { return cmp.Compare(a.label, b.label) })
		return all
	}
	e.user, e.properties = fields(t.User), fields(t.Properties)
	return e
}

func canvasFields() []string {
	return []string{"experiment_split_id", "experiment_split_name", "experiment_step_id", "next_step_id", "content_optimizer_step_id"}
}

// compileField finds how a field's values are made: by type.name or name and
// type where a name means two things, by name, or from its format alone.
func compileField(event string, f *schemas.Field, values map[string]valueFunc, fits map[string]func(*moment) bool) field {
	out := field{
		label:    "," + string(appendString(nil, f.Name)) + ":",
		key:      population.Key(f.Name),
		required: f.Required,
		external: f.Name == "external_user_id",
		user:     f.Name == "user_id",
		links:    slices.Contains(linking, f.Name),
		alone:    strings.HasPrefix(f.Name, "answer_"),
		fits:     fits[f.Name],
	}
	last := event[strings.LastIndexByte(event, '.')+1:]
	for _, name := range []string{last + "/" + f.Name, event + "/" + f.Name} {
		if special, ok := fits[name]; ok {
			out.fits = special
		}
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

// GroupChannels are the channels with subscription groups.
func GroupChannels() []population.Channel {
	return []population.Channel{population.Email, population.SMS, population.WhatsApp, population.RCS, population.LINE}
}
