package check

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/currentsbridge/currentsbridge/internal/storageexport"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// Exports makes events of the records of Currents' storage exports. The zero value is
// ready to use.
type Exports struct {
	AsType   string                     // event type of records that do not say theirs
	Glossary *schemas.Glossary          // nil: the built-in one
	Off      bool                       // no stream is an export
	Records  map[storageexport.Form]int // counts the events that were made, by the form of their files
	Lines    Lines                      // of all streams

	reader *storageexport.Reader
}

func (x *Exports) open() (err error) {
	if x.reader != nil {
		return nil
	}
	if x.Glossary == nil {
		if x.Glossary, err = schemas.Load(); err != nil {
			return err
		}
	}
	x.reader, err = storageexport.New(x.Glossary, x.AsType)
	return err
}

// Each is the function Each for a stream that may also be a storage export: an Avro
// file, whose items have the number of the record as their line, or flat records as
// JSON. The name may contain the event type, and begins the error. visit gets the
// events of records; Item.Storage is true for a flat record that cannot be converted.
func (x *Exports) Each(name string, r io.Reader, visit func(Item) error) error {
	lines, err := x.each(name, r, visit)
	x.Lines.Total += lines.Total
	x.Lines.Read += lines.Read
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (x *Exports) each(name string, r io.Reader, visit func(Item) error) (Lines, error) {
	in := bufio.NewReaderSize(r, chunk)
	begin, _ := in.Peek(4)
	avro := storageexport.IsAvro(begin)
	if !x.Off && (avro || x.AsType != "") { // an unknown type is an error even if nothing has to be converted
		if err := x.open(); err != nil {
			return Lines{}, err
		}
	}
	if avro && !x.Off {
		_, err := x.reader.Read(name, in, func(rec storageexport.Record) error {
			item := Item{Line: rec.Number, Number: rec.Number}
			if item.Broken = rec.Err; rec.Err == nil {
				x.made(&item, storageexport.Avro, rec)
			}
			return visit(item)
		})
		return Lines{}, err
	}
	return Each(in, func(item Item) error {
		if x.Off || !item.Storage() {
			return visit(item)
		}
		if err := x.open(); err != nil {
			return err
		}
		if rec := x.reader.FromJSON(name, bytes.Clone(item.Raw)); rec.Err == nil {
			x.made(&item, storageexport.JSON, rec)
		} else {
			item.noEvent = rec.Err
		}
		return visit(item)
	})
}

func (x *Exports) made(item *Item, form storageexport.Form, rec storageexport.Record) {
	item.Raw, item.text = rec.Event, string(rec.Event)
	item.header = headerOf(item.text)
	if x.Records == nil {
		x.Records = map[storageexport.Form]int{}
	}
	x.Records[form]++
}

// Taken says how many records were converted, by the form of their files; it is empty
// for none.
func Taken(records map[storageexport.Form]int) (text string) {
	for _, form := range []storageexport.Form{storageexport.Avro, storageexport.JSON} {
		if n := records[form]; n > 0 {
			text += fmt.Sprintf("; %d taken for records of a storage export (%s)", n, form)
		}
	}
	return text
}
