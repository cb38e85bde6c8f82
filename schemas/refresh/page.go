package refresh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// block is a fenced block of a page.
type block struct {
	line int    // of its first line, from 1
	tab  string // title of the tab it stands in; empty: in none
	text []string
}

// page reads a page of Braze's documentation. What counts are JSON blocks that
// describe an event as the Custom HTTP connector sends it: those in a tab with
// HTTP in its title, which stays in translations, or in no tab at all.
func (s *Sources) page(where string, raw []byte) error {
	var wrong []string
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
		if tree.child(user) == nil && tree.child(properties) == nil {
			continue // flat: as the storage exports have it
		}
		c := claim{kind: Page, where: at, fields: make(map[place]fact)}
		for _, section := range []string{user, properties} {
			for _, leaf := range tree.child(section).members() {
				f, ok := parseLeaf(leaf)
				if leaf.object {
					f, ok = fact{typ: "object"}, true
				}
				if !ok {
					s.unread = append(s.unread, Note{EventType: eventType, Field: section + "." + leaf.name, Source: at,
						Text: fmt.Sprintf("expected (required|optional, TYPE), got %q", leaf.text)})
				}
				c.fields[place{section, leaf.name}] = f
			}
		}
		if err := s.add(eventType, c); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

// tabPatterns find the titles of tabs, in Liquid as Braze's pages have them, and
// in MDX; and where a tab ends.
func tabPatterns() (opens, closes *regexp.Regexp) {
	return regexp.MustCompile(`(?i)\{%-?\s*tab\s+["']?(.*?)["']?\s*-?%\}|<tab(?:item)?\b[^>]*\b(?:title|label|name)=["'](.*?)["']`),
		regexp.MustCompile(`(?i)\{%-?\s*endtabs?\b|</tab(?:item|s)?>`)
}

// blocks finds the fenced blocks of a page.
func blocks(text string) (list []block) {
	opens, closes := tabPatterns()
	var open *block
	fence, tab := "", ""
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		bare := strings.TrimSpace(line)
		mark := bare[:len(bare)-len(strings.TrimLeft(bare, "`"))]
		if mark == "" {
			mark = bare[:len(bare)-len(strings.TrimLeft(bare, "~"))]
		}
		switch {
		case open != nil && len(mark) >= len(fence) && mark == bare && mark[0] == fence[0]:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, line)
		case len(mark) >= 3:
			open, fence = &block{line: i + 2, tab: tab}, mark
		default:
			if title := opens.FindStringSubmatch(line); title != nil {
				tab = title[1] + title[2]
			} else if closes.MatchString(line) {
				tab = ""
			}
		}
	}
	return list
}

// split returns the event type that a block's comment names, and the rest.
func (b *block) split() (eventType, body string) {
	var rest []string
	for _, line := range b.text {
		bare := strings.TrimSpace(line)
		if !strings.HasPrefix(bare, "//") && !strings.HasPrefix(bare, "#") && !strings.HasPrefix(bare, "/*") && !strings.HasPrefix(bare, "*") {
			rest = append(rest, line)
			continue
		}
		for _, word := range strings.FieldsFunc(bare, func(r rune) bool { return r > 0x7f || !strings.ContainsRune(letters+".", r) }) {
			if word = strings.Trim(word, "."); eventType == "" && isTypeName(word) {
				eventType = word
			}
		}
	}
	return eventType, strings.Join(rest, "\n")
}

// node is a value of a block: an object, or a text.
type node struct {
	name   string
	text   string
	object bool
	list   []node
}

func (n *node) child(name string) *node {
	for i := range n.list {
		if n.list[i].name == name && n.list[i].object {
			return &n.list[i]
		}
	}
	return nil
}

func (n *node) members() []node {
	if n == nil {
		return nil
	}
	return n.list
}

// readTree reads a block's object: as JSON, or else line by line, because pages
// have commas too many, and quotes inside of texts.
func readTree(body string) (node, error) {
	root := node{}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	err := readValue(dec, &root)
	if err == nil && root.object {
		return root, nil
	}
	if root, ok := readLines(body); ok {
		return root, nil
	}
	if err == nil {
		err = errNoObject
	}
	return node{}, err
}

func readValue(dec *json.Decoder, into *node) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		into.object = true
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			member := node{name: fmt.Sprint(name)}
			if err := readValue(dec, &member); err != nil {
				return err
			}
			into.list = append(into.list, member)
		}
		_, err = dec.Token()
	case json.Delim('['):
		for dec.More() && err == nil {
			err = readValue(dec, &node{})
		}
		if err == nil {
			_, err = dec.Token()
		}
	default:
		into.text = fmt.Sprint(token)
	}
	return err
}

// readLines reads an object with a member, or a bracket, on each line.
func readLines(body string) (node, bool) {
	member := regexp.MustCompile(`^\s*"?([A-Za-z_][\w-]*)"?\s*:\s*(.*?)\s*,?\s*$`)
	stack := []*node{{object: true}}
	opened := false
	for line := range strings.SplitSeq(body, "\n") {
		bare := strings.Trim(strings.TrimSpace(line), ",")
		m := member.FindStringSubmatch(line)
		top := stack[len(stack)-1]
		switch {
		case bare == "":
		case bare == "{" && !opened:
			opened = true
		case bare == "}":
			if stack = stack[:len(stack)-1]; len(stack) == 0 {
				return *top, opened
			}
		case m != nil && m[2] == "{":
			top.list = append(top.list, node{name: m[1], object: true})
			stack = append(stack, &top.list[len(top.list)-1])
		case m != nil:
			top.list = append(top.list, node{name: m[1], text: strings.Trim(m[2], `"`)})
		default:
			return node{}, false
		}
	}
	return node{}, false
}

// parseLeaf reads "(required, string) [PII] What it is".
func parseLeaf(n node) (fact, bool) {
	open, rest, ok := strings.Cut(strings.TrimSpace(n.text), ")")
	presence, typ, both := strings.Cut(strings.TrimPrefix(open, "("), ",")
	if !ok || !both || !strings.HasPrefix(open, "(") {
		return fact{}, false
	}
	f := fact{pii: no}
	switch strings.ToLower(strings.TrimSpace(presence)) {
	case "required":
		f.required = yes
	case "optional":
		f.required = no
	default:
		return fact{}, false
	}
	f.description = strings.TrimSpace(rest)
	if words, found := strings.CutPrefix(f.description, "[PII]"); found {
		f.pii, f.description = yes, strings.TrimSpace(words)
	}
	f.typ = typeOf(typ)
	return f, f.typ != ""
}

// typeOf translates Braze's names of types; empty: not known.
func typeOf(name string) string {
	switch string(bytes.ToLower(bytes.TrimSpace([]byte(name)))) {
	case "string":
		return "string"
	case "int", "integer", "long":
		return "integer"
	case "float", "double", "number":
		return "number"
	case "boolean", "bool":
		return "boolean"
	case "object", "map":
		return "object"
	case "array of string", "array of strings", "array", "array<string>":
		return "array<string>"
	}
	return ""
}
