package bytecheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strings"
)

// ErrUnsupported says that a schema asks for what a Checker cannot tell.
var ErrUnsupported = errors.New("not supported")

// Compile compiles a schema that gojsonschema has accepted as draft 7. The error
// is ErrUnsupported where the schema has a keyword or a reference that a Checker
// does not know, or ErrEndless.
func Compile(schema []byte) (*Checker, error) {
	decoder := json.NewDecoder(bytes.NewReader(schema))
	decoder.UseNumber()
	var root any
	if err := decoder.Decode(&root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	c, err := compile(root, false)
	if err == nil {
		return c, c.comesToAnEnd()
	}
	// What a Checker cannot tell, gojsonschema can, and must come to an end too.
	if all, _ := compile(root, true); all.comesToAnEnd() != nil {
		return nil, ErrEndless
	}
	return nil, err
}

type compiler struct {
	root any
	refs map[string]*Checker // by reference; what is being compiled is there already
	// lenient passes over what is not supported. What comes out is good for
	// looking for an end only.
	lenient bool
}

func compile(root any, lenient bool) (*Checker, error) {
	c := &Checker{}
	k := &compiler{root: root, refs: map[string]*Checker{"#": c}, lenient: lenient}
	return c, k.fill(c, root, true)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// sub compiles a schema inside of the document.
func (k *compiler) sub(schema any) (*Checker, error) {
	if ref, ok := reference(schema); ok {
		return k.ref(ref)
	}
	c := &Checker{}
	return c, k.fill(c, schema, false)
}

func reference(schema any) (string, bool) {
	object, _ := schema.(map[string]any)
	ref, ok := object["$ref"].(string)
	return ref, ok
}

// ref compiles what a reference to the document's own definitions names, once.
// Names with escapes are left out: not all readers of pointers take them alike.
func (k *compiler) ref(ref string) (*Checker, error) {
	if c := k.refs[ref]; c != nil {
		return c, nil
	}
	parts := strings.Split(ref, "/")
	if len(parts) != 3 || parts[0] != "#" || parts[1] != "definitions" && parts[1] != "$defs" || strings.ContainsAny(ref, "%~") {
		return nil, unsupported("$ref %q", ref)
	}
	root, _ := k.root.(map[string]any)
	definitions, _ := root[parts[1]].(map[string]any)
	target, ok := definitions[parts[2]]
	if !ok {
		return nil, unsupported("$ref %q", ref)
	}
	c := &Checker{}
	k.refs[ref] = c
	return c, k.fill(c, target, false)
}

// fill compiles a schema into c, which others may point to already.
func (k *compiler) fill(c *Checker, schema any, root bool) error {
	switch schema := schema.(type) {
	case bool:
		c.never = !schema
	case map[string]any:
		if ref, ok := reference(schema); ok { // all beside it is ignored
			target, err := k.ref(ref)
			c.all = []*Checker{target} // nil beside an error
			return k.strictly(err)
		}
		for keyword, value := range schema {
			if id, ok := value.(string); keyword == "$id" && root && ok && !strings.Contains(id, "#") {
				continue
			}
			if err := k.strictly(k.keyword(c, keyword, value)); err != nil {
				return err
			}
		}
	default:
		return unsupported("a schema that is %T", schema)
	}
	if c.members != nil {
		if len(c.members.list) > maxMembers {
			return unsupported("%d properties", len(c.members.list))
		}
		c.members.index()
	}
	c.trivial = c.members == nil && c.additional == nil && c.items == nil && len(c.constants) == 0 &&
		!c.lengths.given() && !c.properties.given() && !c.counts.given() && !c.pattern.given() && c.format == "" &&
		c.minimum == nil && c.maximum == nil && c.above == nil && c.below == nil && c.multipleOf == nil &&
		len(c.all)+len(c.any)+len(c.one) == 0 && c.not == nil && c.when == nil
	return nil
}

// strictly is the error, which a lenient compiler passes over.
func (k *compiler) strictly(err error) error {
	if k.lenient {
		return nil
	}
	return err
}

// keyword compiles one keyword. What is not listed is not known.
func (k *compiler) keyword(c *Checker, keyword string, value any) (err error) {
	switch keyword {
	case "$schema", "$comment", "title", "description", "examples", "default", "readOnly", "writeOnly", "definitions", "$defs":
	case "type":
		return c.setTypes(value)
	case "properties":
		return k.properties(c, value)
	case "required":
		return c.setRequired(value)
	case "additionalProperties":
		c.additional, err = k.sub(value)
	case "items":
		c.items, err = k.sub(value)
	case "const":
		return c.addConstants(value)
	case "enum":
		if list, ok := value.([]any); ok && len(list) > 0 { // gojsonschema ignores an empty one
			return c.addConstants(list...)
		}
	case "pattern":
		return c.setPattern(value)
	case "format":
		c.format, err = as[string](keyword, value)
	case "minLength":
		c.lengths.min, err = count(keyword, value)
	case "maxLength":
		c.lengths.bounded = true
		c.lengths.max, err = count(keyword, value)
	case "minProperties":
		c.properties.min, err = count(keyword, value)
	case "maxProperties":
		c.properties.bounded = true
		c.properties.max, err = count(keyword, value)
	case "minItems":
		c.counts.min, err = count(keyword, value)
	case "maxItems":
		c.counts.bounded = true
		c.counts.max, err = count(keyword, value)
	case "minimum":
		c.minimum, err = exact(keyword, value)
	case "maximum":
		c.maximum, err = exact(keyword, value)
	case "exclusiveMinimum":
		c.above, err = exact(keyword, value)
	case "exclusiveMaximum":
		c.below, err = exact(keyword, value)
	case "multipleOf":
		c.multipleOf, err = exact(keyword, value)
	default:
		return k.combination(c, keyword, value)
	}
	return err
}

func (k *compiler) combination(c *Checker, keyword string, value any) (err error) {
	switch keyword {
	case "allOf":
		c.all, err = k.subs(value)
	case "anyOf":
		c.any, err = k.subs(value)
	case "oneOf":
		c.one, err = k.subs(value)
	case "not":
		c.not, err = k.sub(value)
	case "if":
		c.when, err = k.sub(value)
	case "then":
		c.then, err = k.sub(value)
	case "else":
		c.without, err = k.sub(value)
	default:
		return unsupported("the keyword %q", keyword)
	}
	return err
}

func (k *compiler) subs(value any) ([]*Checker, error) {
	list, err := as[[]any]("a list of schemas", value)
	var out []*Checker
	for _, schema := range list {
		c, err := k.sub(schema)
		if err := k.strictly(err); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, err
}

func (k *compiler) properties(c *Checker, value any) error {
	schemas, err := as[map[string]any]("properties", value)
	for name, schema := range schemas {
		inner, err := k.sub(schema)
		if err := k.strictly(err); err != nil {
			return err
		}
		of := c.member(name)
		of.schema, of.described = inner, true
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
		place, _ := c.members.find(name)
		c.members.required = append(c.members.required, place)
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
		bit, ok := map[string]types{
			"null": typeNull, "boolean": typeBoolean, "number": typeNumber, "integer": typeInteger,
			"string": typeString, "object": typeObject, "array": typeArray,
		}[name]
		if !ok {
			return unsupported("the type %v", each)
		}
		c.types |= bit
	}
	return nil
}

func (c *Checker) addConstants(values ...any) error {
	var of constant
	for _, value := range values {
		switch value := value.(type) {
		case nil:
			of.null = true
		case bool:
			of.yes, of.no = of.yes || value, of.no || !value
		case string:
			of.texts = append(of.texts, []byte(value))
		case json.Number:
			n, err := value.Float64()
			if err != nil {
				return unsupported("the constant %s", value)
			}
			of.numbers = append(of.numbers, n)
		default:
			return unsupported("a constant that is %T", value)
		}
	}
	c.constants = append(c.constants, of)
	return nil
}

func (c *Checker) setPattern(value any) error {
	text, err := as[string]("pattern", value)
	if err != nil {
		return err
	}
	if c.pattern.expression, err = regexp.Compile(text); err != nil {
		return unsupported("pattern: %w", err)
	}
	if tree, err := syntax.Parse(text, syntax.Perl); err == nil && tree.Op == syntax.OpCharClass {
		c.pattern.ranges = tree.Rune
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
	number, err := as[json.Number](keyword, value)
	if err != nil {
		return 0, err
	}
	n, err := number.Int64()
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, unsupported("%s %s", keyword, number)
	}
	return int(n), nil
}

func exact(keyword string, value any) (*big.Rat, error) {
	number, err := as[json.Number](keyword, value)
	if err != nil {
		return nil, err
	}
	out, ok := new(big.Rat).SetString(string(number))
	if !ok {
		return nil, unsupported("%s %s", keyword, number)
	}
	return out, nil
}
