package storageexport

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
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
)

// container reads one file.
type container struct {
	in     *bufio.Reader
	codec  string
	schema *avro.RecordSchema
	marker [16]byte
	zstd   *zstd.Decoder
	offset int64 // bytes read
}

// ReadByte implements io.ByteReader, for binary.ReadVarint.
func (c *container) ReadByte() (byte, error) {
	b, err := c.in.ReadByte()
	if err == nil {
		c.offset++
	}
	return b, err
}

// Read implements io.Reader.
func (c *container) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.offset += int64(n)
	return n, err
}

// header reads the header.
func (c *container) header() error {
	limits := avro.Config{MaxByteSliceSize: maxHeader}.Freeze()
	whole := &io.LimitedReader{R: c, N: maxHeader}
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
	schema, err := avro.ParseWithCache(string(text), "", &avro.SchemaCache{})
	if err != nil {
		return fmt.Errorf("its schema: %w", err)
	}
	if c.schema, ok = schema.(*avro.RecordSchema); !ok {
		return errors.New("its schema is not the schema of a record")
	}
	return nil
}

// errBlock is for a corrupt block, after which others are read.
var errBlock = errors.New("a block of the file is broken")

// block reads the next block, io.EOF for none. Where the block is corrupt the error
// wraps errBlock, and the next block can be read.
func (c *container) block() (records int64, data []byte, err error) {
	if records, err = binary.ReadVarint(c); err != nil {
		return 0, nil, err // io.EOF only before the first byte
	}
	size, err := binary.ReadVarint(c)
	if err != nil {
		return 0, nil, cutOff(err)
	}
	if records < 0 || records > maxBlock || size < 0 || size > maxBlock {
		return 1, nil, c.resume(nil, fmt.Errorf("%d records in %d bytes", records, size))
	}
	var block bytes.Buffer // grows with what is there, whatever size says
	_, err = io.CopyN(&block, c, size+int64(len(c.marker)))
	data = block.Bytes()
	switch found := bytes.Index(data, c.marker[:]); {
	case err != nil && found < 0:
		return records, nil, cutOff(err)
	case err != nil || !bytes.HasSuffix(data, c.marker[:]):
		return records, nil, c.resume(data, errors.New("its length or its marker is wrong"))
	}
	data = data[:size]
	if data, err = c.uncompress(data); err != nil {
		return records, nil, fmt.Errorf("%w: %s: %w", errBlock, c.codec, err)
	}
	return records, data, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is cut off within a block")
	}
	return err
}

// resume skips to the next marker, which may be in what was read already.
func (c *container) resume(was []byte, why error) error {
	err := fmt.Errorf("%w: %w", errBlock, why)
	c.in = bufio.NewReader(io.MultiReader(bytes.NewReader(was), c.in))
	c.offset -= int64(len(was))
	var last [16]byte
	for last != c.marker {
		b, failed := c.ReadByte()
		if failed != nil {
			return err // the next block says that there is none
		}
		copy(last[:], last[1:])
		last[15] = b
	}
	return err
}

func (c *container) uncompress(data []byte) (out []byte, err error) {
	switch c.codec {
	case "deflate":
		var b bytes.Buffer
		if _, err = io.Copy(&b, io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxBlock+1)); err == nil && b.Len() > maxBlock {
			err = errors.New("the block is too large")
		}
		return b.Bytes(), err
	case "snappy":
		if n, err := snappy.DecodedLen(data[:max(0, len(data)-4)]); err != nil || n > maxBlock {
			return nil, errors.New("the block is broken or too large")
		}
		return new(ocf.SnappyCodec).Decode(data)
	case "zstandard":
		if c.zstd == nil {
			if c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
				return nil, err
			}
		}
		return c.zstd.DecodeAll(data, nil)
	}
	return data, nil
}

// readAvro visits the records of a container.
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
	t, err := x.tableOf(TypeOf(path), c.schema.FullName())
	if err != nil {
		return err
	}
	d := newDecoder()
	for number := 0; ; {
		begin := c.offset
		records, data, err := c.block()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, errBlock) {
			return fmt.Errorf("at byte %d: %w", begin, err)
		}
		d.Reset(data)
		d.Error = nil
		for left := records; left > 0; left-- {
			number++
			if err == nil {
				err = x.fromAvro(d, c.schema, t)
			}
			record := Record{Type: t.name, Err: err, Lost: int(left)}
			if err == nil {
				record = x.event(t)
			} else { // what follows in the block cannot be found
				record.Err = fmt.Errorf("in the block at byte %d: %w", begin, err)
				number += int(left) - 1
				left = 1
			}
			record.Number = number
			if err := visit(record); err != nil {
				return err
			}
		}
	}
}

// fromAvro takes a record apart.
func (x *Reader) fromAvro(d *decoder, schema *avro.RecordSchema, t *table) error {
	x.parts.reset()
	for _, f := range schema.Fields() {
		x.line = d.append(x.line[:0], f.Type())
		if d.Error != nil {
			if errors.Is(d.Error, io.EOF) {
				return fmt.Errorf("%w: %s", errEnd, f.Name())
			}
			return fmt.Errorf("%w: %s: %w", errBlock, f.Name(), d.Error)
		}
		x.put(t, t.slots[f.Name()], f.Name(), x.line)
	}
	return nil
}
