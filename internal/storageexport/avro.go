package storageexport

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// An Avro object container file is a header, with the schema and the name of the
// codec, and blocks: a number of records, a length, the records and a marker.
// https://avro.apache.org/docs/1.12.0/specification/#object-container-files
// The library's reader takes a file that is cut off for a whole one, and allocates as
// much memory as a corrupt length says.
const (
	magic     = "Obj\x01"
	maxHeader = 16 << 20
	maxBlock  = 256 << 20 // compressed or not
	maxDepth  = 100       // of values
)

// container reads one file.
type container struct {
	in     *bufio.Reader
	codec  string
	schema *avro.RecordSchema
	marker [16]byte
	zstd   *zstd.Decoder // made with the first block that needs it
}

// errBlock is for a block that is corrupt, after which others may be read.
var errBlock = errors.New("a block of the file is broken")

// readAvro visits the records of a container. A block that is corrupt is skipped.
func (x *Reader) readAvro(path string, in *bufio.Reader, visit func(Record) error) error {
	c := &container{in: in}
	defer func() {
		if c.zstd != nil {
			c.zstd.Close()
		}
	}()
	if err := c.header(); err != nil {
		return fmt.Errorf("the header of the file: %w", cutOff(err))
	}
	typ, err := x.typeOf(TypeOf(path), c.schema.FullName())
	if err != nil {
		return err
	}
	limits := avro.Config{MaxByteSliceSize: MaxRecord}.Freeze()
	for number := 0; ; {
		records, data, err := c.block()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			data, err = c.uncompress(data)
		} else if !errors.Is(err, errBlock) {
			return fmt.Errorf("in a block after record %d: %w", number, err)
		}
		values := avro.NewReader(nil, 0, avro.WithReaderConfig(limits)).Reset(data)
		for ; records > 0 && err == nil; records-- {
			if err = x.fromAvro(values, c.schema); err != nil {
				break
			}
			number++
			record := x.event(typ)
			record.Number = number
			if err := visit(record); err != nil {
				return err
			}
		}
		if err != nil && records > 0 { // what follows in the block cannot be found
			lost := Record{Number: number + 1, Type: typ.Name, Lost: int(records), Err: fmt.Errorf("in a block after record %d: %w", number, err)}
			if err := visit(lost); err != nil {
				return err
			}
			number += int(records)
		}
	}
}

func (c *container) header() error {
	limits := avro.Config{MaxByteSliceSize: maxHeader}.Freeze()
	whole := &io.LimitedReader{R: c.in, N: maxHeader}
	in := avro.NewReader(whole, 1, avro.WithReaderConfig(limits)) // a buffer of one byte leaves the blocks unread
	var h ocf.Header
	if in.ReadVal(ocf.HeaderSchema, &h); in.Error != nil {
		return in.Error
	}
	c.marker, c.codec = h.Sync, string(h.Meta["avro.codec"])
	switch c.codec {
	case "", "null", "deflate", "snappy", "zstandard":
	default:
		return fmt.Errorf("the codec %q is not known; null, deflate, snappy and zstandard are", c.codec)
	}
	text, ok := h.Meta["avro.schema"]
	if !ok {
		return errors.New("the header has no schema")
	}
	plain := strings.ReplaceAll(string(text), `"logicalType"`, `"was"`) // a time stays a number
	schema, err := avro.ParseWithCache(plain, "", &avro.SchemaCache{})
	if err != nil {
		return fmt.Errorf("its schema: %w", err)
	}
	if c.schema, ok = schema.(*avro.RecordSchema); !ok {
		return errors.New("its schema is not the schema of a record")
	}
	return nil
}

// block reads the next block, io.EOF for none.
func (c *container) block() (records int64, data []byte, err error) {
	if records, err = binary.ReadVarint(c.in); err != nil {
		return 0, nil, err // io.EOF only before the first byte
	}
	size, err := binary.ReadVarint(c.in)
	if err != nil {
		return 0, nil, cutOff(err)
	}
	if records < 0 || records > maxBlock || size < 0 || size > maxBlock {
		return 1, nil, c.resume(nil, fmt.Errorf("%d records in %d bytes", records, size))
	}
	var block bytes.Buffer // grows with what is there, whatever size says
	_, err = io.CopyN(&block, c.in, size+int64(len(c.marker)))
	if err != nil && !bytes.Contains(block.Bytes(), c.marker[:]) {
		return 0, nil, cutOff(err)
	}
	data, whole := bytes.CutSuffix(block.Bytes(), c.marker[:])
	if err != nil || !whole {
		return max(records, 1), nil, c.resume(block.Bytes(), errors.New("its length or its marker is wrong"))
	}
	return records, data, nil
}

// resume skips to the next marker, which may be in what was read already.
func (c *container) resume(was []byte, why error) error {
	c.in = bufio.NewReader(io.MultiReader(bytes.NewReader(was), c.in))
	var last [16]byte
	for last != c.marker {
		b, err := c.in.ReadByte()
		if err != nil {
			break // the next block says that there is none
		}
		copy(last[:], last[1:])
		last[15] = b
	}
	return fmt.Errorf("%w: %w", errBlock, why)
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut off within a block")
	}
	return err
}

func (c *container) uncompress(data []byte) ([]byte, error) {
	switch c.codec {
	case "deflate":
		out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxBlock+1))
		if len(out) > maxBlock {
			err = errors.New("the block is too large")
		}
		return out, err
	case "snappy":
		if n, err := snappy.DecodedLen(data[:max(0, len(data)-4)]); err != nil || n > maxBlock {
			return nil, errors.New("the block is broken or too large")
		}
		return new(ocf.SnappyCodec).Decode(data)
	case "zstandard":
		if c.zstd == nil {
			decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
			if err != nil {
				return nil, err
			}
			c.zstd = decoder
		}
		return c.zstd.DecodeAll(data, nil)
	}
	return data, nil
}

// fromAvro takes a record apart.
func (x *Reader) fromAvro(in *avro.Reader, schema *avro.RecordSchema) error {
	clear(x.flat)
	x.line = x.line[:0]
	for _, f := range schema.Fields() {
		start := len(x.line)
		if x.line = appendValue(x.line, in, f.Type(), 0); in.Error != nil {
			return fmt.Errorf("%s: %w", f.Name(), in.Error)
		}
		x.flat[f.Name()] = x.line[start:len(x.line):len(x.line)]
	}
	return nil
}

// appendValue appends the next value of a schema to dst, as JSON. What holds other
// values is read here: the library trusts the lengths of a corrupt file.
func appendValue(dst []byte, in *avro.Reader, schema avro.Schema, depth int) []byte {
	if depth++; depth > maxDepth || len(dst) > 2*MaxRecord {
		in.ReportError("read", "the record is too large, or nested too deeply")
	}
	if in.Error != nil {
		return dst
	}
	switch s := schema.(type) {
	case *avro.NullSchema:
		return append(dst, "null"...)
	case *avro.RefSchema:
		return appendValue(dst, in, s.Schema(), depth)
	case *avro.UnionSchema:
		member := in.ReadLong()
		if member < 0 || member >= int64(len(s.Types())) {
			in.ReportError("read", "a union has no such member")
			return dst
		}
		return appendValue(dst, in, s.Types()[member], depth)
	case *avro.FixedSchema:
		raw := make([]byte, min(s.Size(), MaxRecord))
		in.Read(raw)
		return jsonlex.AppendString(dst, base64.StdEncoding.EncodeToString(raw))
	case *avro.RecordSchema:
		dst = append(dst, '{')
		for _, f := range s.Fields() {
			dst = append(jsonlex.AppendString(dst, f.Name()), ':')
			dst = append(appendValue(dst, in, f.Type(), depth), ',')
		}
		return closed(dst, '}')
	case *avro.ArraySchema:
		dst = append(dst, '[')
		items(in, func() { dst = append(appendValue(dst, in, s.Items(), depth), ',') })
		return closed(dst, ']')
	case *avro.MapSchema:
		dst = append(dst, '{')
		items(in, func() {
			dst = append(jsonlex.AppendString(dst, in.ReadString()), ':')
			dst = append(appendValue(dst, in, s.Values(), depth), ',')
		})
		return closed(dst, '}')
	}
	return appendScalar(dst, in.ReadNext(schema))
}

// items calls one for each item of an array or a map.
func items(in *avro.Reader, one func()) {
	for in.Error == nil {
		n, _ := in.ReadBlockHeader()
		if n == 0 {
			return
		}
		for ; n > 0 && in.Error == nil; n-- {
			one()
		}
	}
}

// closed replaces the last comma by the closing bracket.
func closed(dst []byte, bracket byte) []byte {
	return append(bytes.TrimSuffix(dst, []byte{','}), bracket)
}

func appendScalar(dst []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return jsonlex.AppendString(dst, v)
	case []byte:
		return jsonlex.AppendString(dst, string(v))
	}
	raw, err := json.Marshal(value)
	if err != nil { // JSON has no NaN and no infinity
		return append(dst, "null"...)
	}
	return append(dst, raw...)
}
