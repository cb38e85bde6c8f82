package refresh

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// block is a fenced block of a page.
type block struct {
	line int    // of its first line, from 1
	tab  string // title of the tab it stands in; empty: in none
	text []string
}

// page reads a page of Braze's documentation: the JSON blocks that describe an event
// as the Custom HTTP connector sends it. These are in a tab with HTTP in its title,
// in translations too, or in no tab.
func (s *Sources) page(where string, raw []byte) error {
	for _, b := range blocks(string(raw)) {
		at := fmt.Sprintf("%s:%d", where, b.line)
		eventType, body := b.split()
		if eventType == "" || b.tab != "" && !strings.Contains(strings.ToUpper(b.tab), "HTTP") {
			continue
		}
		tree, err := readTree(body)
		if err != nil {
			s.unread = append(s.unread, Note{EventType: eventType, Source: at, Text: "the block cannot be read: " + err.Error()})
			continue
		}
		c := claim{kind: Page, where: at, fields: make(map[place]fact)}
		nested := false
		for _, section := range []string{user, properties} {
			members, ok := tree[section].(map[string]any)
			nested = nested || ok
			for _, name := range slices.Sorted(maps.Keys(members)) {
				f, ok := parseLeaf(members[name])
				if !ok {
					s.unread = append(s.unread, Note{EventType: eventType, Field: section + "." + name, Source: at,
						Text: fmt.Sprintf("expected (required|optional, TYPE), got %q", fmt.Sprint(members[name]))})
				}
				c.fields[place{section, name}] = f
			}
		}
		if !nested {
			continue // flat: as the storage exports have it
		}
		if err := s.add(eventType, c); err != nil {
			return err
		}
	}
	return nil
}

// Where a tab begins, with its title, and where it ends: in Liquid, as Braze's
// pages have them, and in MDX.
var (
	tabBegins = regexp.MustCompile(`(?i)\{%-?\s*tab\s+["']?(.*?)["']?\s*-?%\}|<tab(?:item)?\b[^>]*\b(?:title|label|name)=["'](.*?)["']`)
	tabEnds   = regexp.MustCompile(`(?i)\{%-?\s*endtabs?\b|</tab(?:item|s)?>`)
)

// blocks finds the fenced blocks of a page.
func blocks(text string) (list []block) {
	var open *block
	fence, tab := "", ""
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		bare := strings.TrimSpace(line)
		mark := bare[:len(bare)-len(strings.TrimLeft(bare, "`~"))]
		switch {
		case open != nil && mark == bare && strings.HasPrefix(mark, fence):
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, line)
		case len(mark) >= 3:
			open, fence = &block{line: i + 2, tab: tab}, mark
		default:
			if title := tabBegins.FindStringSubmatch(line); title != nil {
				tab = title[1] + title[2]
			} else if tabEnds.MatchString(line) {
				tab = ""
			}
		}
	}
	return list
}

// commentLine is a line of a block that is no JSON.
var commentLine = regexp.MustCompile(`^\s*(//|#|/?\*)`)

// split returns the event type that a block's comment names, and the rest.
func (b *block) split() (eventType, body string) {
	var rest []string
	for _, line := range b.text {
		if !commentLine.MatchString(line) {
			rest = append(rest, line)
		} else if eventType == "" {
			eventType = typeName.FindString(line)
		}
	}
	return eventType, strings.Join(rest, "\n")
}

// readTree reads a block's object: as JSON, or else line by line, because pages
// have extra commas, and quotes inside of texts.
func readTree(body string) (map[string]any, error) {
	var tree map[string]any
	err := json.NewDecoder(strings.NewReader(body)).Decode(&tree)
	if err == nil && tree != nil {
		return tree, nil
	}
	if tree, ok := readLines(body); ok {
		return tree, nil
	}
	return nil, cmp.Or(err, errors.New("expected a JSON object, got null"))
}

var memberLine = regexp.MustCompile(`^\s*"?([A-Za-z_][\w-]*)"?\s*:\s*(.*?)\s*,?\s*$`)

// readLines reads an object with a member, or a bracket, on each line.
func readLines(body string) (map[string]any, bool) {
	stack := []map[string]any{{}}
	opened := false
	for line := range strings.SplitSeq(body, "\n") {
		bare := strings.Trim(strings.TrimSpace(line), ",")
		m := memberLine.FindStringSubmatch(line)
		top := stack[len(stack)-1]
		switch {
		case bare == "":
		case bare == "{" && !opened:
			opened = true
		case bare == "}":
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return top, opened
			}
		case m != nil && m[2] == "{":
			inner := map[string]any{}
			top[m[1]] = inner
			stack = append(stack, inner)
		case m != nil:
			top[m[1]] = strings.Trim(m[2], `"`)
		default:
			return nil, false
		}
	}
	return nil, false
}

// leaf is a field of a page, such as "(required, string) [PII] What it is".
var leaf = regexp.MustCompile(`(?is)^\s*\(\s*(required|optional)\s*,([^)]*)\)\s*(\[PII\])?\s*(.*?)\s*$`)

// parseLeaf reads a leaf, or an object.
func parseLeaf(value any) (fact, bool) {
	if _, ok := value.(map[string]any); ok {
		return fact{typ: "object"}, true
	}
	text, _ := value.(string)
	m := leaf.FindStringSubmatch(text)
	if m == nil {
		return fact{}, false
	}
	required := strings.EqualFold(m[1], "required")
	f := fact{typ: typeOf(m[2]), required: answerOf(required), pii: answerOf(m[3] != ""), description: m[4]}
	return f, f.typ != ""
}

// typeOf translates Braze's and Avro's names of types; empty: not known.
func typeOf(name string) string { return types[strings.ToLower(strings.TrimSpace(name))] }

var types = map[string]string{
	"string": "string", "enum": "string", "boolean": "boolean", "bool": "boolean",
	"int": "integer", "long": "integer", "integer": "integer", "float": "number", "double": "number", "number": "number",
	"object": "object", "map": "object", "record": "object",
	"array of string": "array<string>", "array of strings": "array<string>", "array": "array<string>", "array<string>": "array<string>",
}
