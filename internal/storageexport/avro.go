package storageexport

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/hamba/avro/v2"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// decoder writes Avro values as JSON. The library's own decoding into any value
// trusts the lengths of a corrupt file, and makes maps.
type decoder struct {
	*avro.Reader
	depth int
}

const maxDepth = 100

// errEnd is for a block that ends within a value.
var errEnd = errors.New("the value goes beyond its block")

func newDecoder() *decoder {
	limits := avro.Config{MaxByteSliceSize: MaxRecord}.Freeze()
	return &decoder{Reader: avro.NewReader(nil, 0, avro.WithReaderConfig(limits))}
}

// append appends the next value of a schema to dst.
func (d *decoder) append(dst []byte, schema avro.Schema) []byte {
	if d.Error != nil {
		return dst
	}
	if d.depth++; d.depth > maxDepth {
		d.ReportError("read", "values are nested too deeply")
		return dst
	}
	defer func() { d.depth-- }()
	switch s := schema.(type) {
	case *avro.NullSchema:
		return append(dst, "null"...)
	case *avro.RefSchema:
		return d.append(dst, s.Schema())
	case *avro.UnionSchema:
		member := d.ReadLong()
		if member < 0 || member >= int64(len(s.Types())) {
			d.ReportError("read", "a union has no such member")
			return dst
		}
		return d.append(dst, s.Types()[member])
	case *avro.EnumSchema:
		symbol, ok := s.Symbol(int(d.ReadInt()))
		if !ok {
			d.ReportError("read", "an enum has no such symbol")
		}
		return jsonlex.AppendString(dst, symbol)
	case *avro.FixedSchema:
		raw := make([]byte, min(s.Size(), MaxRecord))
		d.Read(raw)
		return jsonlex.AppendString(dst, base64.StdEncoding.EncodeToString(raw))
	case *avro.ArraySchema:
		return d.appendMany(append(dst, '['), ']', func(dst []byte) []byte { return d.append(dst, s.Items()) })
	case *avro.MapSchema:
		return d.appendMany(append(dst, '{'), '}', func(dst []byte) []byte {
			return d.append(append(jsonlex.AppendString(dst, d.ReadString()), ':'), s.Values())
		})
	case *avro.RecordSchema:
		dst = append(dst, '{')
		for i, f := range s.Fields() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.append(append(jsonlex.AppendString(dst, f.Name()), ':'), f.Type())
		}
		return append(dst, '}')
	}
	return d.appendPlain(dst, schema.Type())
}

func (d *decoder) appendPlain(dst []byte, t avro.Type) []byte {
	switch t {
	case avro.Boolean:
		return strconv.AppendBool(dst, d.ReadBool())
	case avro.Int:
		return strconv.AppendInt(dst, int64(d.ReadInt()), 10)
	case avro.Long:
		return strconv.AppendInt(dst, d.ReadLong(), 10)
	case avro.Float:
		return appendFloat(dst, float64(d.ReadFloat()), 32)
	case avro.Double:
		return appendFloat(dst, d.ReadDouble(), 64)
	case avro.String:
		return jsonlex.AppendString(dst, d.ReadString())
	case avro.Bytes:
		return jsonlex.AppendString(dst, string(d.ReadBytes()))
	}
	d.ReportError("read", fmt.Sprintf("values of type %s are not known", t))
	return dst
}

// appendMany appends the items of an array or a map.
func (d *decoder) appendMany(dst []byte, end byte, one func([]byte) []byte) []byte {
	for first := true; d.Error == nil; {
		n, _ := d.ReadBlockHeader()
		if n == 0 {
			break
		}
		for range n {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			if dst = one(dst); len(dst) > MaxRecord {
				d.ReportError("read", "an array is too long")
			}
			if d.Error != nil {
				return dst
			}
		}
	}
	return append(dst, end)
}

// appendFloat appends a number as encoding/json does: JSON has no NaN and no
// infinity.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}
