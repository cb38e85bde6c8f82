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
		list = append(list, Shown{prefix + strings.TrimSuffix(is.path, ".*"), is.shown(), reflect.DeepEqual(is.value.Interface(), was[i].value.Interface())})
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
