package bytecheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrUnsupported says that a schema asks for what a Checker does not know.
var ErrUnsupported = errors.New("not supported")

// Compile compiles a schema of this project. The error is ErrUnsupported where
// the schema has a keyword or a reference that a Checker does not know: it knows
// what the schemas of this project use.
func Compile(schema []byte) (*Checker, error) {
	var root map[string]any
	if err := json.Unmarshal(schema, &root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	definitions, _ := root["definitions"].(map[string]any)
	k := &compiler{definitions: definitions}
	return k.schema(root)
}

type compiler struct {
	definitions map[string]any
	depth       int
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// maxDepth is how deep schemas are nested, references included; one that refers
// to itself is deeper.
const maxDepth = 50

// schema compiles a schema, or what it refers to among the definitions.
func (k *compiler) schema(value any) (*Checker, error) {
	if k.depth++; k.depth > maxDepth {
		return nil, unsupported("a schema within itself")
	}
	defer func() { k.depth-- }()
	schema, ok := value.(map[string]any)
	if !ok {
		return nil, unsupported("a schema that is %T", value)
	}
	if ref, ok := schema["$ref"].(string); ok { // all beside it is ignored
		target, ok := k.definitions[strings.TrimPrefix(ref, "#/definitions/")]
		if !ok {
			return nil, unsupported("$ref %q", ref)
		}
		return k.schema(target)
	}
	c := &Checker{}
	for keyword, value := range schema {
		if err := k.keyword(c, keyword, value); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// keyword compiles one keyword. What is not listed is not known.
func (k *compiler) keyword(c *Checker, keyword string, value any) (err error) {
	switch keyword {
	case "$schema", "$id", "title", "description", "examples", "definitions":
	case "type":
		return c.setTypes(value)
	case "properties":
		return k.properties(c, value)
	case "required":
		return c.setRequired(value)
	case "items":
		c.items, err = k.schema(value)
	case "const":
		return c.addConstants(value)
	case "enum":
		list, err := as[[]any](keyword, value)
		if err != nil {
			return err
		}
		c.listed = true
		return c.addConstants(list...)
	case "pattern":
		return c.setPattern(value)
	case "format":
		if c.format, err = as[string](keyword, value); err == nil && c.format != "date-time" {
			return unsupported("the format %q", c.format)
		}
	case "minLength":
		c.minLength, err = count(keyword, value)
	case "anyOf":
		return k.anyOf(c, value)
	default:
		return unsupported("the keyword %q", keyword)
	}
	return err
}

func (k *compiler) anyOf(c *Checker, value any) error {
	list, err := as[[]any]("anyOf", value)
	for _, schema := range list {
		inner, err := k.schema(schema)
		if err != nil {
			return err
		}
		c.any = append(c.any, inner)
	}
	return err
}

func (k *compiler) properties(c *Checker, value any) error {
	schemas, err := as[map[string]any]("properties", value)
	for name, schema := range schemas {
		inner, err := k.schema(schema)
		if err != nil {
			return err
		}
		c.member(name).schema = inner
	}
	return err
}

// member returns what is known of a name. The pointer is good until the next.
func (c *Checker) member(name string) *member {
	if c.members == nil {
		c.members = &members{}
	}
	return &c.members.list[c.members.add(name)]
}

func (c *Checker) setRequired(value any) error {
	names, err := as[[]any]("required", value)
	for _, each := range names {
		name, err := as[string]("required", each)
		if err != nil {
			return err
		}
		c.member(name)
		c.members.required = append(c.members.required, c.members.places[name])
	}
	return err
}

func (c *Checker) setTypes(value any) error {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, each := range list {
		name, _ := each.(string)
		bit := slices.Index(typeNames[:], name)
		if bit < 0 {
			return unsupported("the type %v", each)
		}
		c.types |= 1 << bit
	}
	return nil
}

func (c *Checker) addConstants(values ...any) error {
	for _, value := range values {
		text, err := as[string]("a constant", value)
		if err != nil {
			return err
		}
		c.constants = append(c.constants, text)
	}
	return nil
}

func (c *Checker) setPattern(value any) error {
	text, err := as[string]("pattern", value)
	if err != nil {
		return err
	}
	if c.pattern, err = regexp.Compile(text); err != nil {
		return unsupported("pattern: %w", err)
	}
	return nil
}

func as[T any](what string, value any) (T, error) {
	out, ok := value.(T)
	if !ok {
		return out, unsupported("%s is %T", what, value)
	}
	return out, nil
}

func count(keyword string, value any) (int, error) {
	n, err := as[float64](keyword, value)
	if err != nil || n < 0 || n > 1000 || n != float64(int(n)) {
		return 0, unsupported("%s %v", keyword, value)
	}
	return int(n), nil
}
