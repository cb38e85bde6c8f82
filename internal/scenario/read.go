package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/internal/population"
)

// Mistake is one thing that is wrong with a scenario.
type Mistake struct {
	// Line is where it is, from 1 on; 0 where that is not known.
	Line int
	// Key is where in the document it is, as in campaigns[2].at.
	Key  string
	Text string
}

// MistakesError holds everything that is wrong with a scenario, by line.
type MistakesError struct {
	File string
	List []Mistake
}

// Error implements error, with one line for each mistake.
func (e *MistakesError) Error() string {
	lines := make([]string, len(e.List))
	for i, m := range e.List {
		at := e.File
		if m.Line > 0 {
			at += ":" + strconv.Itoa(m.Line)
		}
		if m.Key != "" {
			at += ": " + m.Key
		}
		lines[i] = at + ": " + m.Text
	}
	return strings.Join(lines, "\n")
}

// Parse reads a scenario; file is the name for messages. The error is a
// *MistakesError, or that of a base that does not exist.
func Parse(file string, text []byte) (*Scenario, error) {
	r := &reader{}
	root, ok := r.document(text)
	if !ok {
		return nil, r.result(file)
	}
	s := defaults()
	if base := find(root, "base"); base != nil && len(r.mistakes) == 0 {
		var err error
		if s, err = Builtin(base.Value); err != nil {
			r.mistake(base, "base", "%v", err)
			s = defaults()
		}
	} else if file != Default+".yaml" {
		var err error
		if s, err = Builtin(Default); err != nil {
			return nil, err
		}
	}
	s.Name = strings.TrimSuffix(strings.TrimSuffix(file[strings.LastIndexAny(file, `/\`)+1:], ".yml"), ".yaml")
	r.mapping(root, "", s.fields(r))
	r.check(root, s)
	if err := r.result(file); err != nil {
		return nil, err
	}
	return s, nil
}

type reader struct{ mistakes []Mistake }

func (r *reader) mistake(n *yaml.Node, key, format string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	r.mistakes = append(r.mistakes, Mistake{line, key, fmt.Sprintf(format, args...)})
}

func (r *reader) result(file string) error {
	if len(r.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
	return &MistakesError{file, r.mistakes}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// document reads the text into its root; false means that it is no YAML.
func (r *reader) document(text []byte) (*yaml.Node, bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return &yaml.Node{Kind: yaml.MappingNode}, true
	}
	if err != nil {
		text, at := strings.TrimPrefix(err.Error(), "yaml: "), new(yaml.Node)
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			at.Line, _ = strconv.Atoi(m[1])
			text = text[len(m[0]):]
		}
		r.mistake(at, "", "is not YAML: %s", text)
		return nil, false
	}
	if decoder.Decode(new(yaml.Node)) == nil {
		r.mistake(nil, "", "must hold one YAML document, not several")
		return nil, false
	}
	root := doc.Content[0]
	if root.Tag == "!!null" {
		return &yaml.Node{Kind: yaml.MappingNode}, true
	}
	if root.Kind != yaml.MappingNode {
		r.mistake(root, "", "must be a map of keys, such as users: 10000")
		return nil, false
	}
	return root, true
}

// find returns the value of a key of a map.
func find(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// take reads the value of one key.
type take func(n *yaml.Node, key string)

// mapping reads a map by the keys that it may have.
func (r *reader) mapping(n *yaml.Node, at string, fields map[string]take) {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		r.mistake(n, at, "must be a map with the keys %s", strings.Join(sorted(fields), ", "))
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, key := n.Content[i].Value, join(at, n.Content[i].Value)
		field, ok := fields[name]
		switch {
		case seen[name]:
			r.mistake(n.Content[i], key, "is written twice")
		case !ok:
			r.mistake(n.Content[i], key, "is not known here; known are %s", strings.Join(sorted(fields), ", "))
		default:
			field(resolve(n.Content[i+1]), key)
		}
		seen[name] = true
	}
}

func sorted[T any](fields map[string]T) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// scalar reads a value with parse.
func scalar[T any](r *reader, to *T, parse func(string) (T, error)) take {
	return func(n *yaml.Node, key string) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			r.mistake(n, key, "must have one value")
			return
		}
		v, err := parse(n.Value)
		if err != nil {
			r.mistake(n, key, "%v", err)
			return
		}
		*to = v
	}
}

func parseTransform(s string) (string, error) {
	if s != "remove" && s != "hash" {
		return "", fmt.Errorf("%q is neither remove nor hash", s)
	}
	return s, nil
}

func parseText(s string) (string, error) { return s, nil }

func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return s == "true", nil
}

// maxPerHour is how many of a thing may begin in an hour.
const maxPerHour = 100_000_000

func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 32)
	if err != nil || n > maxPerHour {
		return 0, fmt.Errorf("%q is no whole number from 0 to %d", s, maxPerHour)
	}
	return int(n), nil
}

// MaxUsers is how many people a scenario may have at most.
const MaxUsers = 100_000_000

func parseUsers(s string) (uint64, error) {
	n, err := parseCount(s)
	if err == nil && (n < 20 || n > MaxUsers) {
		err = fmt.Errorf("%s people are too few or too many: 20 to %d", s, MaxUsers)
	}
	return uint64(n), err
}

func parseWholePercent(s string) (Share, error) {
	v, err := ParseShare(s)
	if err == nil && v%10_000 != 0 {
		err = fmt.Errorf("%q must be a whole percent", s)
	}
	return v, err
}

// sendingChannels are the channels that a campaign of a scenario may have.
func sendingChannels() []string {
	var names []string
	for _, c := range []population.Channel{
		population.Email, population.Push, population.ContentCard, population.SMS,
		population.RCS, population.WhatsApp, population.LINE, population.Webhook,
	} {
		names = append(names, string(c))
	}
	return names
}

func parseChannel(s string) (string, error) {
	if !slices.Contains(sendingChannels(), s) {
		return "", fmt.Errorf("%q is no channel that sends: %s", s, strings.Join(sendingChannels(), ", "))
	}
	return s, nil
}

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
		"field_transformations": func(n *yaml.Node, key string) {
			fields := make(map[string]take)
			for i := 0; i+1 < len(n.Content); i += 2 {
				name := n.Content[i].Value
				fields[name] = func(n *yaml.Node, key string) {
					what := ""
					scalar(r, &what, parseTransform)(n, key)
					s.Transforms[name] = what
				}
			}
			r.mapping(n, key, fields)
		},
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
