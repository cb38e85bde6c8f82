package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Effect says what it takes to change a setting while the bridge runs.
type Effect string

// The effects.
const (
	Restart   Effect = "restart" // only a restart changes it
	Reload    Effect = "reload"  // in force once the configuration is reloaded
	NewSender Effect = "sender"  // as Reload, and the connector's delivery is restarted
)

// leaf is a setting in a Config or a Connector, with what the tags of its field say.
type leaf struct {
	reflect.StructTag

	path   string // queue.url
	short  string // the path of the struct around it, where a single value written there sets this one: queue for queue.url
	effect Effect
	value  reflect.Value
}

// leaves lists the settings in a struct, also those in structs in it, but no connectors.
func leaves(v reflect.Value) []leaf {
	return leavesIn(v, "", reflect.StructField{Tag: `change:"sender"`})
}

func leavesIn(v reflect.Value, prefix string, outer reflect.StructField) (list []leaf) {
	for f, value := range v.Fields() {
		if f.Tag.Get("change") == "" {
			f.Tag += reflect.StructTag(` change:"` + outer.Tag.Get("change") + `"`)
		}
		l := leaf{StructTag: f.Tag, path: prefix + f.Tag.Get("key"), effect: Effect(f.Tag.Get("change")), value: value}
		if l.Get("key") == outer.Tag.Get("short") {
			l.short = strings.TrimSuffix(prefix, ".")
		}
		switch {
		case value.Kind() == reflect.Struct:
			list = append(list, leavesIn(value, l.path+".", f)...)
		case f.Type != reflect.TypeFor[[]Connector]():
			list = append(list, l)
		}
	}
	return list
}

func withDefaults[T any](c T) T {
	for _, l := range leaves(reflect.ValueOf(&c).Elem()) {
		if text := l.Get("default"); text != "" && l.value.IsZero() {
			mustParse(l.value, text)
		}
	}
	return c
}

func mustParse(v reflect.Value, text string) {
	if err := parse(v, text); err != nil {
		panic(fmt.Sprintf("a tag of the configuration is wrong: %v", err)) // every tag is read by the tests
	}
}

// Setting is one setting as flags, variables and the documentation show it.
type Setting struct {
	Key     string // retain.age; in a file without connectors also braze_token, a connector's setting
	Flag    string // retain-age; empty: only the file has it
	Env     string // BRIDGE_RETAIN_AGE; empty: as Flag
	Value   string // what stands for the value in --help: DURATION
	Default string // as one would write it; empty: none
	Help    string // one or two sentences; words in single quotes are code
	Bool    bool   // the flag needs no value

	connector bool   // it is of a connector
	path      string // queue.url for queue, connectors[0].token for braze_token
	leaf      leaf
}

// Settings lists all settings, one for each of its keys: those of the bridge, and
// then those of a connector.
func Settings() (list []Setting) {
	for i, c := range []any{Config{}, Connector{}} {
		for _, l := range leaves(reflect.ValueOf(c)) {
			for _, key := range spellings(l.StructTag) {
				list = append(list, settingOf(l, strings.TrimPrefix(key, l.Get("key")), i == 1))
			}
		}
	}
	return list
}

func settingOf(l leaf, suffix string, connector bool) Setting {
	key := l.short
	if key == "" {
		key = strings.Replace(l.path, "*", "TYPE", 1)
	}
	s := Setting{
		Key: key + suffix, Value: cmp.Or(l.Get("value"), l.Get("oneof"), kinds[l.value.Type()].placeholder),
		Default: l.Get("default"), Help: l.Get("help"), Bool: l.value.Kind() == reflect.Bool,
		connector: connector, path: l.path + suffix, leaf: l,
	}
	if connector {
		s.Key, s.path = flatKey(s.Key), listKey(0, s.path)
	}
	if suffix != "" {
		s.Value, s.Default, s.Help = "FILE", "", "file that holds '"+key+"'"
	}
	if l.Get("flag") == "" && l.Get("flat") == "" && !strings.HasSuffix(suffix, "s") {
		s.Flag = strings.NewReplacer("_", "-", ".", "-").Replace(s.Key)
		s.Env = "BRIDGE_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
	}
	return s
}

// spellings are the keys that a field can be written as.
func spellings(tag reflect.StructTag) []string {
	key := tag.Get("key")
	switch tag.Get("secret") {
	case "file":
		return []string{key, key + "_file"}
	case "tokens":
		return []string{key, key + "s", key + "_file", key + "_files"}
	}
	return []string{key}
}

// same tells whether two settings are one field, written in different ways.
func (s Setting) same(other Setting) bool {
	return s.connector == other.connector && s.leaf.path == other.leaf.path
}

// flatKey is how a connector's key is written where it stands beside the bridge's own.
func flatKey(key string) string {
	if strings.HasPrefix(key, "token") {
		return "braze_" + key
	}
	return key
}

func listKey(i int, field string) string { return join(indexed("connectors", i), field) }

// Change is a setting whose value is another one.
type Change struct {
	Key    string // never its value, which may be a secret
	Effect Effect
}

// Changes lists the settings of after, but those of connectors, that are not as before.
func Changes(before, after Config) []Change {
	return changes(reflect.ValueOf(before), reflect.ValueOf(after))
}

// Changes lists the settings of after that are not as those of c, except the name.
func (c Connector) Changes(after Connector) []Change {
	after.Name = c.Name
	return changes(reflect.ValueOf(c), reflect.ValueOf(after))
}

func changes(before, after reflect.Value) (list []Change) {
	was := leaves(before)
	for i, is := range leaves(after) {
		if !reflect.DeepEqual(was[i].value.Interface(), is.value.Interface()) {
			key := strings.TrimSuffix(is.path, ".*")
			if is.Get("secret") == "tokens" {
				key = "tokens"
			}
			list = append(list, Change{key, is.effect})
		}
	}
	return list
}

// Keys lists the keys of changes for a log line.
func Keys(changes []Change) string {
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = c.Key
	}
	return strings.Join(keys, ", ")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// quoted finds words in single quotes, which are code, and no apostrophes.
var quoted = regexp.MustCompile(`(^|[ (])'([^']+)'`)

// Usage is the help of the setting's flag.
func (s Setting) Usage() string {
	text := quoted.ReplaceAllString(s.Help, "$1$2")
	if zero := s.leaf.Get("zero"); zero != "" {
		text += "; 0: " + zero
	}
	return text
}

// Shown is a setting that is in force, as anyone may see it.
type Shown struct {
	Key     string `json:"key"`
	Value   string `json:"value"`             // of a secret only whether there is one
	Default bool   `json:"default,omitempty"` // it is what holds where nothing is said
}

// Shown lists the settings of the bridge, without those of connectors.
func (c Config) Shown() []Shown { return shown(reflect.ValueOf(c), reflect.ValueOf(Default()), "") }

// Shown lists the settings of the connector.
func (c Connector) Shown() []Shown {
	list := shown(reflect.ValueOf(c), reflect.ValueOf(DefaultConnector()), "")
	if c.Queue != nil {
		list = append(list, shown(reflect.ValueOf(*c.Queue), reflect.ValueOf(Queue{}), "queue.")...)
	}
	return list
}

func shown(v, unset reflect.Value, prefix string) (list []Shown) {
	was := leaves(unset)
	for i, is := range leaves(v) {
		if is.value.Kind() == reflect.Pointer { // a queue of the connector's own
			continue
		}
		same := reflect.DeepEqual(is.value.Interface(), was[i].value.Interface())
		list = append(list, Shown{prefix + strings.TrimSuffix(is.path, ".*"), is.shown(), same})
	}
	return list
}

func (l leaf) shown() string {
	v, secret := l.value, l.Get("secret") != ""
	switch {
	case secret && v.IsZero():
		return "not set"
	case secret && v.Kind() == reflect.Slice:
		return fmt.Sprintf("%d set", v.Len())
	case secret:
		return "set"
	case v.IsZero() && l.Get("zero") != "":
		return write(v) + ": " + l.Get("zero")
	case v.IsZero() && l.Get("unset") != "":
		return quoted.ReplaceAllString(l.Get("unset"), "$1$2")
	case v.Kind() == reflect.Slice:
		return strings.Join(v.Interface().([]string), ", ")
	case v.Kind() == reflect.Map:
		var parts []string
		for key, value := range v.Seq2() {
			parts = append(parts, fmt.Sprintf("%v: %v", key, value))
		}
		slices.Sort(parts)
		return strings.Join(parts, ", ")
	}
	// The parameters of PostgreSQL's URL can hold the password of a key.
	text, _, _ := strings.Cut(write(v), "?")
	return text
}
