package bytecheck

import "errors"

// ErrEndless says that a schema refers to itself without going deeper into the
// document, so that no validator would come to an end.
var ErrEndless = errors.New("the schema refers to itself without end")

type state uint8

const (
	open state = iota + 1
	done
)

// comesToAnEnd returns ErrEndless where checking one value would come back to
// the same schema with the same value.
func (c *Checker) comesToAnEnd() error {
	all := []*Checker{c}
	found := map[*Checker]bool{c: true}
	for i := 0; i < len(all); i++ {
		for _, each := range append(all[i].beside(), all[i].inside()...) {
			if each != nil && !found[each] {
				found[each] = true
				all = append(all, each)
			}
		}
	}
	seen := map[*Checker]state{}
	for _, each := range all {
		if each.endless(seen) {
			return ErrEndless
		}
	}
	return nil
}

func (c *Checker) endless(seen map[*Checker]state) bool {
	switch {
	case c == nil || seen[c] == done:
		return false
	case seen[c] == open:
		return true
	}
	seen[c] = open
	for _, each := range c.beside() {
		if each.endless(seen) {
			return true
		}
	}
	seen[c] = done
	return false
}

// beside lists the schemas of the same value; some may be nil.
func (c *Checker) beside() []*Checker {
	list := []*Checker{c.not, c.when, c.then, c.without}
	return append(append(append(list, c.all...), c.any...), c.one...)
}

// inside lists the schemas of what is in the value; some may be nil.
func (c *Checker) inside() []*Checker {
	list := []*Checker{c.items, c.additional}
	if c.members != nil {
		for _, of := range c.members.list {
			list = append(list, of.schema)
		}
	}
	return list
}
