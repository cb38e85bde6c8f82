package mapping

import "github.com/currentsbridge/currentsbridge/schemas"

// NewWith is New with another glossary.
func NewWith(opts Options, g *schemas.Glossary) (*Mapper, error) { return newMapper(opts, g) }

// Table is the table of names.
type Table struct{ table }

// Add and Find are its methods.
func (t *Table) Add(name string) int  { return t.add(name) }
func (t *Table) Find(name string) int { return t.find([]byte(name)) }
