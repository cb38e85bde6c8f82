package scenario

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/internal/fieldtransform"
	"github.com/currentsbridge/currentsbridge/internal/population"
)

// Parse reads a scenario; file is the name for messages. The error has a line for
// each mistake, or is that of a base that does not exist.
func Parse(file string, text []byte) (*Scenario, error) {
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	whole := struct {
		Base     string
		Scenario `yaml:",inline"`
	}{}
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) { // an empty file
		err = root.Encode(map[string]string{})
	}
	if err == nil && decoder.Decode(new(yaml.Node)) == nil {
		err = errors.New("must hold one YAML document, not several")
	}
	if err != nil {
		return nil, mistakesIn(file, err)
	}
	base := defaults()
	if file != Default+".yaml" {
		name := Default
		if n := find(&root, "base"); n != nil {
			if err = n.Decode(&name); err != nil {
				return nil, mistakesIn(file, err)
			}
		}
		if base, err = Builtin(cmp.Or(name, Default)); err != nil {
			return nil, fmt.Errorf("%s: base: %w", file, err)
		}
	}
	whole.Scenario = *base
	whole.Name = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".yml"), ".yaml")
	decoder = yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err = decoder.Decode(&whole); err == nil || errors.Is(err, io.EOF) {
		err = whole.check(&root)
	}
	return &whole.Scenario, mistakesIn(file, err)
}

// mistakesIn makes one error of those of the decoder, in the order of their lines and
// with the file's name.
func mistakesIn(file string, err error) error {
	if err == nil {
		return nil
	}
	list := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if several := new(yaml.TypeError); errors.As(err, &several) {
		list = slices.Clone(several.Errors)
	}
	line := func(text string) (n int) {
		_, _ = fmt.Sscanf(text, "line %d:", &n) // else 0
		return n
	}
	slices.SortStableFunc(list, func(a, b string) int { return line(a) - line(b) })
	for i, text := range list {
		text, _, _ = strings.Cut(text, " in type ")
		if behind, ok := strings.CutPrefix(text, "line "); ok {
			list[i] = file + ":" + behind
		} else {
			list[i] = file + ": " + text
		}
	}
	return errors.New(strings.Join(list, "\n"))
}

// mistake is an error at a node; a decoder continues after it.
func mistake(n *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s", n.Line, fmt.Sprintf(format, args...))}}
}

func join(errs ...error) error {
	var all yaml.TypeError
	for _, err := range errs {
		if some := new(yaml.TypeError); errors.As(err, &some) {
			all.Errors = append(all.Errors, some.Errors...)
		} else if err != nil {
			return err
		}
	}
	if len(all.Errors) == 0 {
		return nil
	}
	return &all
}

func read[T any](n *yaml.Node, to *T, parse func(string) (T, error)) error {
	if n.Kind != yaml.ScalarNode {
		return mistake(n, "must be one value")
	}
	v, err := parse(n.Value)
	if err != nil {
		return mistake(n, "%v", err)
	}
	*to = v
	return nil
}

// UnmarshalYAML reads a percentage up to 100%.
func (s *Share) UnmarshalYAML(n *yaml.Node) error { return read(n, s, ParseShare) }

// UnmarshalYAML reads a percentage.
func (p *Pace) UnmarshalYAML(n *yaml.Node) error { return read(n, (*Share)(p), parsePercent) }

// UnmarshalYAML reads a span of time.
func (s *Span) UnmarshalYAML(n *yaml.Node) error { return read(n, s, ParseSpan) }

// UnmarshalYAML reads a duration.
func (s *Seconds) UnmarshalYAML(n *yaml.Node) error { return read(n, s, parseSeconds) }

// UnmarshalYAML reads a time of day.
func (c *Clock) UnmarshalYAML(n *yaml.Node) error { return read(n, c, ParseClock) }

// UnmarshalYAML reads how many of a thing begin in an hour.
func (c *Count) UnmarshalYAML(n *yaml.Node) error { return read(n, c, parseCount) }

const maxPerHour = 100_000_000

func parseCount(s string) (Count, error) {
	n, err := strconv.ParseUint(strings.ReplaceAll(s, "_", ""), 10, 32)
	if err != nil || n > maxPerHour {
		return 0, fmt.Errorf("%q is no whole number from 0 to %d", s, maxPerHour)
	}
	return Count(n), nil
}

// SendingChannels are the channels that a campaign of a scenario may have.
func SendingChannels() []population.Channel {
	return []population.Channel{
		population.Email, population.Push, population.ContentCard, population.SMS,
		population.RCS, population.WhatsApp, population.LINE, population.Webhook,
	}
}

func change[V any](all map[string]V, key string, to *yaml.Node, unknown string) error {
	value, known := all[key]
	if !known {
		return mistake(to, "%s", unknown)
	}
	err := to.Decode(&value)
	all[key] = value
	return err
}

// UnmarshalYAML changes the starts that are named.
func (s *Starts) UnmarshalYAML(n *yaml.Node) error {
	var given map[string]yaml.Node
	failed := n.Decode(&given)
	for name, value := range given {
		failed = join(failed, change(*s, name, &value,
			"starts."+name+" is not known here; known are "+strings.Join(slices.Sorted(maps.Keys(*s)), ", ")))
	}
	return failed
}

// UnmarshalYAML changes the outcomes that are named, group by group.
func (o *Outcomes) UnmarshalYAML(n *yaml.Node) error {
	var given map[string]map[string]yaml.Node
	failed := n.Decode(&given)
	for group, names := range given {
		for name, value := range names {
			key := group + "." + name
			failed = join(failed, change(*o, key, &value, "outcomes."+key+" is not known; mockbraze scenario show has those that are"))
		}
	}
	return failed
}

// UnmarshalYAML reads a share alone, or a share and a span.
func (o *Outcome) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&o.Share)
	}
	type plain Outcome
	return join(onlyKeys(n, "share", "after"), n.Decode((*plain)(o)))
}

// onlyKeys names the keys of a map that are none of those known. A decoder's
// KnownFields does not reach into what reads itself.
func onlyKeys(n *yaml.Node, known ...string) (failed error) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			failed = join(failed, mistake(key, "%s is not known here; known are %s", key.Value, strings.Join(known, ", ")))
		}
	}
	return failed
}

// UnmarshalYAML reads 24 weights.
func (h *Hours) UnmarshalYAML(n *yaml.Node) error {
	var weights []int
	if err := n.Decode(&weights); err != nil {
		return err
	}
	total := 0
	for _, w := range weights {
		if w < 0 || w > 1000 {
			return mistake(n, "hours: weights go from 0 to 1000, not %d", w)
		}
		total += w
	}
	if len(weights) != len(h) || total == 0 {
		return mistake(n, "hours: must be 24 weights, from midnight on, not all zero; here are %d", len(weights))
	}
	copy(h[:], weights)
	return nil
}

// UnmarshalYAML reads a campaign and checks which keys it has.
func (c *Campaign) UnmarshalYAML(n *yaml.Node) error {
	type plain Campaign
	*c = Campaign{Over: Seconds(30 * mins), Audience: Whole}
	many := []string{"at", "local", "over", "audience"} // keys that need every
	if err := join(onlyKeys(n, append([]string{"channel", "name", "per_hour", "every"}, many...)...), n.Decode((*plain)(c))); err != nil {
		return err
	}
	switch {
	case c.Channel == "":
		return mistake(n, "a campaign needs a channel: one of %s", SendingChannels())
	case !slices.Contains(SendingChannels(), c.Channel):
		return mistake(n, "%q is no channel that sends: %s", c.Channel, SendingChannels())
	case c.PerHour > 0 && c.Every > 0:
		return mistake(n, "a campaign has both per_hour and every: it is triggered, or it goes to many at once")
	case c.Every%Seconds(day) != 0:
		return mistake(n, "every: must be whole days")
	case c.Over < Seconds(mins) || c.Over > Seconds(12*hour):
		return mistake(n, "over: must be from 1m to 12h")
	}
	for _, key := range many {
		if c.Every == 0 && find(n, key) != nil {
			return mistake(n, "%s: needs every, such as every: 1d", key)
		}
	}
	return nil
}

// MaxUsers is how many people a scenario may have at most.
const MaxUsers = 100_000_000

func (s *Scenario) check(root *yaml.Node) error {
	var failed error
	wrong := func(is bool, key, format string, args ...any) {
		if !is {
			return
		}
		failed = join(failed, mistake(cmp.Or(find(root, key), root), key+": "+format, args...))
	}
	r, q := s.Rough.Renames, s.Quiet
	wrong(s.Users < 20 || s.Users > MaxUsers, "users", "%d people are too few or too many: 20 to %d", s.Users, MaxUsers)
	wrong(s.WithoutExternalID%10_000 != 0, "share_without_external_id", "must be a whole percent")
	wrong(r.Every > 0 && (r.For > r.Every || r.For > Seconds(hour)), "rough_edges", "renames.for must be at most 1h, and not longer than every")
	wrong(q.From != q.To && (q.To-q.From+1440)%1440 > 20*60, "quiet_hours", "leave less than four hours a day to send in")
	for _, channel := range q.Channels {
		wrong(!slices.Contains(SendingChannels(), channel), "quiet_hours", "%q is no channel that sends: %s", channel, SendingChannels())
	}
	for name, what := range s.Transforms {
		wrong(what != fieldtransform.Remove && what != fieldtransform.Hash, "field_transformations", "%s: %q is neither remove nor hash", name, what)
	}
	return failed
}

// find returns the value of a key of a map or a document of one, nil for none.
func find(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.DocumentNode {
		n = n.Content[0]
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// Share is a part of a whole in millionths. It is written in percent, with at
// most four decimals: 12%, 0.05%.
type Share uint32

// Whole is the Share of everything.
const Whole Share = 1_000_000

// Hits is true in a Share of all cases.
func (s Share) Hits(d population.Draw) bool { return d.N(int(Whole)) < int(s) }

// String writes the Share in percent.
func (s Share) String() string {
	return strconv.FormatFloat(float64(s)/10_000, 'f', -1, 64) + "%"
}

// ParseShare reads a percentage from 0% to 100%. 0 may be written without %.
func ParseShare(text string) (Share, error) {
	s, err := parsePercent(text)
	if err == nil && s > Whole {
		err = fmt.Errorf("%q is more than 100%%", text)
	}
	return s, err
}

func parsePercent(text string) (Share, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	if !ok && number != "0" {
		return 0, fmt.Errorf("%q is no share: write it in percent, such as 12%% or 0.5%%", text)
	}
	whole, part, dotted := strings.Cut(number, ".")
	if len(part) > 4 || dotted && part == "" {
		return 0, fmt.Errorf("%q has to have one to four digits after the point", text)
	}
	n, err := strconv.ParseUint(whole+(part + "0000")[:4], 10, 32)
	if err != nil || whole == "" || n > 1000*uint64(Whole) {
		return 0, fmt.Errorf("%q is no share: write it in percent, such as 12%% or 0.5%%", text)
	}
	return Share(n), nil
}

// Pace is a multiple of a whole in millionths, written as a Share.
type Pace Share

// String writes the Pace in percent.
func (p Pace) String() string { return Share(p).String() }

// Seconds is a time in seconds, written 90s, 5m, 36h or 2d.
type Seconds int64

// Span is how long something takes: from Min to Max seconds, short times more
// often than long ones. It is written 30s..36h; one duration is a fixed time.
type Span struct{ Min, Max Seconds }

// Choose chooses a time within the Span. The cube of a uniform number makes short
// times common: half of all are within the first eighth.
func (s Span) Choose(d population.Draw) int64 {
	u := uint64(d.N(1 << 16))
	return int64(s.Min) + int64(uint64(s.Max-s.Min+1)*(u*u*u>>16)>>32)
}

// String writes the Span as ParseSpan reads it.
func (s Span) String() string {
	if s.Min == s.Max {
		return s.Min.String()
	}
	return s.Min.String() + ".." + s.Max.String()
}

// longest is the longest time that a Span may take, 400 days in seconds.
const longest = 400 * 86400

// ParseSpan reads a Span of durations such as 90s, 5m, 36h or 2d, up to 400d.
func ParseSpan(text string) (Span, error) {
	low, high, two := strings.Cut(text, "..")
	if !two {
		high = low
	}
	from, err := parseSeconds(low)
	if err != nil {
		return Span{}, err
	}
	to, err := parseSeconds(high)
	if err == nil && from > to {
		err = fmt.Errorf("%q begins after its end", text)
	}
	return Span{from, to}, err
}

type unit struct {
	letter  byte
	seconds Seconds
}

func units() [4]unit { return [4]unit{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}} }

func parseSeconds(text string) (Seconds, error) {
	text = strings.TrimSpace(text)
	for _, u := range units() {
		if number, ok := strings.CutSuffix(text, string(u.letter)); ok {
			n, err := strconv.ParseUint(number, 10, 31)
			switch d := Seconds(n) * u.seconds; {
			case err == nil && d > longest:
				return 0, fmt.Errorf("%q is longer than 400d", text)
			case err == nil:
				return d, nil
			}
		}
	}
	if text == "0" {
		return 0, nil
	}
	return 0, fmt.Errorf("%q is no duration: write a whole number and s, m, h or d, such as 90s or 36h", text)
}

// String writes the time in its largest whole unit.
func (s Seconds) String() string {
	for _, u := range units() {
		if s%u.seconds == 0 && s != 0 {
			return strconv.FormatInt(int64(s/u.seconds), 10) + string(u.letter)
		}
	}
	return "0s"
}

// Clock is a time of day in minutes since midnight, written 09:30.
type Clock int

// String writes the Clock as hours and minutes.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// ParseClock reads a time of day from 00:00 to 23:59.
func ParseClock(text string) (Clock, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day: write it as 09:30", text)
	}
	return Clock(at.Hour()*60 + at.Minute()), nil
}
