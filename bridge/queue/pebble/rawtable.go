package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Columns of a data block, after those of the key: Pebble's
// sstable/colblk/data_block.go.
const (
	columnTrailer  = 0
	columnValue    = 2
	columnExternal = 3
)

// table reads a table: the keys, and the values that are not in a blob file.
func (r *rawReader) table(ctx context.Context, f rawFile, file vfs.File) error {
	t, err := openTable(ctx, file)
	if err != nil {
		r.damage(Damage{File: f.name, Bytes: f.size, Problem: "the table's frame: " + brief(err)})
		return nil
	}
	layout, err := t.Layout()
	if err != nil {
		r.damage(Damage{File: f.name, Bytes: f.size, Problem: "the table's index: " + brief(err)})
		return nil
	}
	sum := t.BlockReader().ChecksumType()
	for _, h := range layout.Data {
		if err := r.dataBlock(ctx, f, file, sum, h.Handle); err != nil {
			return err
		}
	}
	for _, h := range otherBlocks(layout) {
		if _, err := r.block(ctx, f, file, sum, h); err != nil {
			if err := r.note(damageAt(f, h), err); err != nil {
				return err
			}
		}
	}
	return r.rangeDeletes(ctx, f, t, layout.RangeDel)
}

func openTable(ctx context.Context, file vfs.File) (*sstable.Reader, error) {
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return nil, err
	}
	opts := &pebble.Options{}
	opts.EnsureDefaults()
	var t *sstable.Reader
	err = guard(func() error {
		t, err = sstable.NewReader(ctx, readable, opts.MakeReaderOptions())
		return err
	})
	return t, err
}

func damageAt(f rawFile, h block.Handle) Damage {
	return Damage{File: f.name, Offset: int64(h.Offset), Bytes: int64(h.Length)}
}

// otherBlocks are those that hold no keys, as far as they are there.
func otherBlocks(l *sstable.Layout) []block.Handle {
	all := append([]block.Handle{
		l.TopIndex, l.RangeDel, l.RangeKey, l.Properties, l.MetaIndex, l.ValueIndex, l.BlobReferenceIndex,
	}, l.Index...)
	for _, filter := range l.Filter {
		all = append(all, filter.Handle)
	}
	all = append(all, l.ValueBlock...)
	there := all[:0]
	for _, h := range all {
		if h.Length > 0 {
			there = append(there, h)
		}
	}
	return there
}

func (r *rawReader) dataBlock(ctx context.Context, f rawFile, file io.ReaderAt, sum block.ChecksumType, h block.Handle) error {
	data, err := r.block(ctx, f, file, sum, h)
	if err == nil {
		err = guard(func() error { return r.rows(data) })
	}
	if err != nil {
		return r.note(damageAt(f, h), err)
	}
	return nil
}

// rows passes on what a data block holds.
func (r *rawReader) rows(data []byte) error {
	schema := colblk.DefaultKeySchema(pebble.DefaultComparer, 16)
	var d colblk.DataBlockDecoder
	d.Init(&schema, data)
	columns, first := d.BlockDecoder(), len(schema.ColumnTypes)
	keys, trailers := columns.PrefixBytes(0), columns.Uints(first+columnTrailer)
	values, external := columns.RawBytes(first+columnValue), columns.Bitmap(first+columnExternal)
	var it colblk.PrefixBytesIter
	it.Init(maxKey, nil)
	for i := range columns.Rows() {
		keys.SetAt(&it, i)
		trailer := trailers.At(i)
		e := rawEntry{kind: pebble.InternalKeyKind(trailer & 0xff), seq: trailer >> 8, key: it.Buf, value: values.At(i)}
		if external.At(i) {
			e.apart, e.value = true, nil
		}
		if err := r.entry(e); err != nil {
			return stop{err}
		}
	}
	return nil
}

// maxKey is more than the longest key takes.
const maxKey = 1 + maxName + 64

func (r *rawReader) rangeDeletes(ctx context.Context, f rawFile, t *sstable.Reader, h block.Handle) error {
	if h.Length == 0 {
		return nil
	}
	err := guard(func() error {
		it, err := t.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.NoReadEnv)
		if err != nil {
			return err
		}
		defer it.Close()
		span, err := it.First()
		for ; span != nil && err == nil; span, err = it.Next() {
			for _, k := range span.Keys {
				e := rawEntry{kind: pebble.InternalKeyKindRangeDelete, key: span.Start, value: span.End, seq: uint64(k.SeqNum())}
				if err := r.entry(e); err != nil {
					return stop{err}
				}
			}
		}
		return err
	})
	if err != nil {
		return r.note(damageAt(f, h), fmt.Errorf("range of deletes: %w", err))
	}
	return nil
}

// brief is the first line of an error: Pebble's go on with where in its own
// source they come from.
func brief(err error) string {
	text := fmt.Sprintf("%v", err)
	for i, c := range text {
		if c == '\n' {
			return text[:i]
		}
	}
	return text
}

// lastBlocks reads the keys of a table from the given one on, and some before.
func (r *rawReader) lastBlocks(ctx context.Context, f rawFile, from []byte) error {
	file, err := r.fs.Open(r.fs.PathJoin(r.dir, f.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", f.name, err)
	}
	defer file.Close()
	t, err := openTable(ctx, file)
	if err != nil {
		return r.note(Damage{File: f.name, Bytes: f.size}, err)
	}
	layout, err := t.Layout()
	if err != nil {
		return r.note(Damage{File: f.name, Bytes: f.size}, err)
	}
	entry, before := r.entry, false
	defer func() { r.entry = entry }()
	r.entry = func(e rawEntry) error {
		before = before || bytes.Compare(e.key, from) < 0
		return entry(e)
	}
	for i := len(layout.Data) - 1; i >= 0 && !before; i-- {
		if err := r.dataBlock(ctx, f, file, t.BlockReader().ChecksumType(), layout.Data[i].Handle); err != nil {
			return err
		}
	}
	return nil
}
