package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Effect says what it takes to change a setting while the bridge runs.
type Effect string

// The effects.
const (
	Restart   Effect = "restart" // only a restart changes it
	Reload    Effect = "reload"  // in force once the configuration is reloaded
	NewSender Effect = "sender"  // as Reload, and the connector's delivery is restarted
)

// field is a field of one of the structs here, with what its tags say.
type field struct {
	index int
	key   string
	tag   reflect.StructTag
}

// get returns a tag; empty where there is none.
func (f field) get(tag string) string { return f.tag.Get(tag) }

func fieldsOf(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		if key, ok := t.Field(i).Tag.Lookup("key"); ok {
			list = append(list, field{i, key, t.Field(i).Tag})
		}
	}
	return list
}

// withDefaults returns c with every field that is zero as its tag says.
func withDefaults[T any](c T) T {
	setDefaults(reflect.ValueOf(&c).Elem())
	return c
}

func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		inner := v.Field(f.index)
		if inner.Kind() == reflect.Struct {
			setDefaults(inner)
		} else if text := f.get("default"); text != "" && inner.IsZero() {
			mustParse(inner, text)
		}
	}
}

// mustParse sets a value to the text of a tag.
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
	single    bool   // it can stand beside a list of one connector, or in a file without a list
	inList    string // its key in a list of connectors: token for braze_token
	path      string // of the value in the tree that a file is read into: queue.url for queue
	short     string // the key that a single value in the place of the map around it stands for
	tags      field
	effect    Effect
}

// Settings lists all settings: those of the bridge, and then those of a connector.
func Settings() []Setting {
	list := settingsOf(reflect.TypeFor[Config](), "", field{tag: `change:"reload"`}, false)
	return append(list, settingsOf(reflect.TypeFor[Connector](), "", field{tag: `change:"sender"`}, true)...)
}

func settingsOf(t reflect.Type, prefix string, outer field, connector bool) (list []Setting) {
	for _, f := range fieldsOf(t) {
		if f.get("change") == "" {
			f.tag += reflect.StructTag(` change:"` + outer.get("change") + `"`)
		}
		inner := t.Field(f.index).Type
		path := prefix + f.key
		if inner.Kind() == reflect.Struct {
			list = append(list, settingsOf(inner, path+".", f, connector)...)
			continue
		}
		if inner == reflect.TypeFor[[]Connector]() {
			continue
		}
		s := Setting{
			Default: f.get("default"), Help: f.get("help"), Bool: inner.Kind() == reflect.Bool, Value: placeholder(inner, f),
			connector: connector, single: f.get("flat") == "", path: path, short: outer.get("short"),
			tags: f, effect: Effect(f.get("change")),
		}
		s.inList, s.Key = path, path
		switch f.key {
		case s.short:
			s.Key = strings.TrimSuffix(prefix, ".")
		case "*":
			s.Key = prefix + "TYPE"
		}
		list = append(list, s.variants(f)...)
	}
	return list
}

// spellings are the keys that a field can be written as. flat is for the
// connector whose keys stand at the top.
func (f field) spellings(flat bool) []string {
	keys := []string{f.key}
	switch f.get("secret") {
	case "file":
		keys = append(keys, f.key+"_file")
	case "tokens":
		keys = append(keys, f.key+"s", f.key+"_file", f.key+"_files")
	}
	for i := range keys {
		if flat {
			keys[i] = flatKey(keys[i])
		}
	}
	return keys
}

// same tells whether two settings are one field, written in different ways.
func (s Setting) same(other Setting) bool {
	return s.connector == other.connector && s.tags.tag == other.tags.tag
}

// variants are the settings that one field makes, one for each of its keys.
func (s Setting) variants(f field) (list []Setting) {
	for _, key := range f.spellings(false) {
		v, suffix := s, strings.TrimPrefix(key, f.key)
		v.inList += suffix
		v.Key, v.path = s.Key+suffix, s.path+suffix
		if s.connector {
			v.Key, v.path = flatKey(v.Key), flatKey(v.path)
		}
		if suffix != "" {
			v.Value, v.Default, v.Help = "FILE", "", "file that holds '"+s.Key+"'"
		}
		if f.get("flag") == "" && s.single && !strings.HasSuffix(suffix, "s") {
			v.Flag = strings.NewReplacer("_", "-", ".", "-").Replace(v.Key)
			v.Env = "BRIDGE_" + strings.ToUpper(strings.ReplaceAll(v.Key, ".", "_"))
		}
		list = append(list, v)
	}
	return list
}

// flatKey is how a connector's key is written where it stands beside the
// bridge's own.
func flatKey(key string) string {
	switch key {
	case "token", "tokens", "token_file", "token_files":
		return "braze_" + key
	}
	return key
}

func placeholder(t reflect.Type, f field) string {
	if value := f.get("value"); value != "" {
		return value
	}
	switch {
	case f.get("oneof") != "":
		return f.get("oneof")
	case t == reflect.TypeFor[time.Duration]():
		return "DURATION"
	case t == reflect.TypeFor[Size]():
		return "SIZE"
	case t.Kind() == reflect.Bool:
		return ""
	}
	return "NUMBER"
}

// Change is a setting whose value is another one.
type Change struct {
	Key    string // never its value, which may be a secret
	Effect Effect
}

// Changes lists the settings of after, but those of connectors, that are not as before.
func Changes(before, after Config) []Change {
	return changes(reflect.ValueOf(before), reflect.ValueOf(after), "", Reload)
}

// Changes lists the settings of after that are not as those of c, except the name.
func (c Connector) Changes(after Connector) []Change {
	after.Name = c.Name
	return changes(reflect.ValueOf(c), reflect.ValueOf(after), "", NewSender)
}

func changes(before, after reflect.Value, prefix string, effect Effect) (list []Change) {
	for _, f := range fieldsOf(before.Type()) {
		was, is := before.Field(f.index), after.Field(f.index)
		key, own := prefix+f.key, effect
		if text := f.get("change"); text != "" {
			own = Effect(text)
		}
		switch {
		case was.Type() == reflect.TypeFor[[]Connector]():
		case was.Kind() == reflect.Struct:
			list = append(list, changes(was, is, key+".", own)...)
		case !reflect.DeepEqual(was.Interface(), is.Interface()):
			if f.get("secret") == "tokens" {
				key = "tokens"
			}
			list = append(list, Change{strings.TrimSuffix(key, ".*"), own})
		}
	}
	return list
}

// Any tells whether a change has an effect.
func Any(changes []Change, effect Effect) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Effect == effect })
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
	if zero := s.tags.get("zero"); zero != "" {
		text += "; 0: " + zero
	}
	return text
}
