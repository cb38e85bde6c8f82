package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. In a configuration it is written as 16MiB, 20GB or
// 4000000.
type Size int64

// sizes are the units of a size; the binary ones are those that it is written in.
var sizes = map[string]Size{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// String writes a size the way it can be read.
func (s Size) String() string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := sizes[strings.ToLower(unit)]; s != 0 && s%size == 0 {
			return strconv.FormatInt(int64(s/size), 10) + unit
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func parseSize(text string) (Size, error) {
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	unit, known := sizes[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	number, err := strconv.ParseFloat(digits, 64)
	if number *= float64(unit); !known || err != nil || !(number >= 0) || !(number < math.MaxInt64/2) {
		return 0, fmt.Errorf("must be a size such as 16MiB or 20GB, not %q", text)
	}
	return Size(number), nil
}

// parseDuration reads Go's notation ("30s", "72h", "1h30m") and whole days ("7d").
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("must be a duration such as 30s, 72h or 7d, not %q", text)
	}
	return d, nil
}

// write formats a value the way it can be read.
func write(v reflect.Value) string {
	text := fmt.Sprint(v.Interface())
	if v.Type() == reflect.TypeFor[time.Duration]() { // 72h0m0s is 72h
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = text[:len(text)-2]
			}
		}
	}
	return text
}

// kinds says for each type of a setting, except text, what stands for its value in
// --help, and what a mistake says that it must be.
var kinds = map[reflect.Type]struct{ placeholder, expected string }{
	reflect.TypeFor[time.Duration](): {"DURATION", "a duration such as 30s"},
	reflect.TypeFor[Size]():          {"SIZE", "a size such as 16MiB"},
	reflect.TypeFor[int]():           {"NUMBER", "a whole number"},
	reflect.TypeFor[float64]():       {"NUMBER", "a number"},
	reflect.TypeFor[bool]():          {"", "true or false"},
	reflect.TypeFor[[]string]():      {"", "a list"},
	reflect.TypeFor[[]Connector]():   {"", "a list"},
}

func expected(v reflect.Value) string { return cmp.Or(kinds[v.Type()].expected, "text") }

func parse(v reflect.Value, text string) (err error) {
	switch into := v.Addr().Interface().(type) {
	case *time.Duration:
		*into, err = parseDuration(text)
		return err
	case *Size:
		*into, err = parseSize(text)
		return err
	case *[]string:
		*into = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*into = append(*into, item)
			}
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err == nil && len(text) > 1 {
			v.SetBool(b)
			return nil
		}
	case reflect.Int:
		if n, err := strconv.Atoi(strings.ReplaceAll(text, "_", "")); err == nil {
			v.SetInt(int64(n))
			return nil
		}
	case reflect.Float64:
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			v.SetFloat(n)
			return nil
		}
	}
	return fmt.Errorf("must be %s, not %q", expected(v), text)
}

// readSecret returns what a file holds, without the line breaks at its end.
func readSecret(name string) (string, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no file %s", name)
	}
	return strings.TrimRight(string(text), "\r\n"), err
}
