package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

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
	return shown(reflect.ValueOf(c), reflect.ValueOf(DefaultConnector()), "")
}

func shown(v, unset reflect.Value, prefix string) (list []Shown) {
	for _, f := range fieldsOf(v.Type()) {
		is, was, key := v.Field(f.index), unset.Field(f.index), strings.TrimSuffix(prefix+f.key, ".*")
		if is.Kind() == reflect.Pointer { // a queue of the connector's own
			if is.IsNil() {
				continue
			}
			is, was = is.Elem(), reflect.Zero(is.Type().Elem())
		}
		switch {
		case is.Type() == reflect.TypeFor[[]Connector]():
		case is.Kind() == reflect.Struct:
			list = append(list, shown(is, was, key+".")...)
		default:
			list = append(list, Shown{key, f.shownValue(is), reflect.DeepEqual(is.Interface(), was.Interface())})
		}
	}
	return list
}

func (f field) shownValue(v reflect.Value) string {
	secret := f.get("secret") != ""
	switch {
	case secret && v.IsZero():
		return "not set"
	case secret && v.Kind() == reflect.Slice:
		return fmt.Sprintf("%d set", v.Len())
	case secret:
		return "set"
	case v.IsZero() && f.get("zero") != "":
		return write(v) + ": " + f.get("zero")
	case v.IsZero() && f.get("unset") != "":
		return quoted.ReplaceAllString(f.get("unset"), "$1$2")
	case v.Kind() == reflect.Slice:
		return strings.Join(v.Interface().([]string), ", ")
	case v.Kind() == reflect.Map:
		var parts []string
		for entries := v.MapRange(); entries.Next(); {
			parts = append(parts, fmt.Sprintf("%v: %v", entries.Key(), entries.Value()))
		}
		return strings.Join(slices.Sorted(slices.Values(parts)), ", ")
	}
	// The parameters of PostgreSQL's URL can hold the password of a key.
	text, _, _ := strings.Cut(write(v), "?")
	return text
}
