package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The layout of a blob file's blocks: Pebble's sstable/blob/blocks.go.
const (
	blobIndexHeader  = 4 // bytes before an index block's columns
	blobIndexOffsets = 1 // column with where each block begins, and the last ends
	blobColumns      = 1 // of a block of values
	blobFooter       = 38
	blobMaxRows      = 1 << 20
	blobWindow       = 256 << 10
)

// blobs reads a blob file. Where its index is damaged the blocks are found one
// after the other, as each says how long it is.
func (r *rawReader) blobs(ctx context.Context, f rawFile, file vfs.File) error {
	bounds, err := r.blobIndex(ctx, f, file)
	if err != nil {
		var end stop
		if errors.As(err, &end) {
			return end.error
		}
		r.damage(Damage{File: f.name, Bytes: f.size, Problem: "the blob file's index: " + brief(err)})
		return r.blobScan(ctx, f, file)
	}
	for i := 0; i+1 < len(bounds); i++ {
		h := block.Handle{Offset: bounds[i], Length: bounds[i+1] - bounds[i] - block.TrailerLen}
		data, err := r.block(ctx, f, file, block.ChecksumTypeCRC32c, h)
		if err == nil {
			err = guard(func() error { return r.values(f, data) })
		}
		if err != nil {
			if err := r.note(damageAt(f, h), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// blobIndex returns where each block begins, and where the last one ends.
func (r *rawReader) blobIndex(ctx context.Context, f rawFile, file vfs.File) ([]uint64, error) {
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return nil, err
	}
	frame, err := blob.NewFileReader(ctx, readable, blob.FileReaderOptions{})
	if err != nil {
		return nil, err
	}
	data, err := r.block(ctx, f, file, block.ChecksumTypeCRC32c, frame.IndexHandle())
	if err != nil {
		return nil, err
	}
	var bounds []uint64
	err = guard(func() error {
		columns := colblk.DecodeBlock(data, blobIndexHeader)
		n := columns.Rows() + 1
		offsets := colblk.DecodeColumn(&columns, blobIndexOffsets, n, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
		for i := range n {
			bounds = append(bounds, offsets.At(i))
		}
		if !slices.IsSorted(bounds) {
			return errors.New("its blocks are out of order")
		}
		return nil
	})
	return bounds, err
}

// values passes on what a block of values holds.
func (r *rawReader) values(f rawFile, data []byte) error {
	columns := colblk.DecodeBlock(data, 0)
	values := columns.RawBytes(0)
	for i := range columns.Rows() {
		v := values.At(i)
		key, _ := unseal(v)
		if key == nil {
			r.unsealed++
			continue
		}
		if err := r.value(f.number, key, v); err != nil {
			return stop{err}
		}
	}
	return nil
}

// blobScan reads the blocks of a file without an index, up to the first that is
// damaged too.
func (r *rawReader) blobScan(ctx context.Context, f rawFile, file io.ReaderAt) error {
	for at := int64(0); at < f.size; {
		n := blobBlockLen(f, file, at)
		if n == 0 {
			return nil // the index begins here, or what is damaged
		}
		h := block.Handle{Offset: uint64(at), Length: uint64(n)}
		data, err := r.block(ctx, f, file, block.ChecksumTypeCRC32c, h)
		if err == nil {
			err = guard(func() error { return r.values(f, data) })
		}
		if err != nil {
			d := damageAt(f, h)
			d.Bytes = f.size - at
			return r.note(d, fmt.Errorf("cannot be read from here on: %w", err))
		}
		at += n + block.TrailerLen
	}
	return nil
}

// blobBlockLen works out the length of the block of values at an offset; 0:
// there is none.
func blobBlockLen(f rawFile, file io.ReaderAt, at int64) int64 {
	for window := int64(blobWindow); ; window *= 2 {
		window = min(window, f.size-at)
		buf := make([]byte, window)
		if _, err := file.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
			return 0
		}
		var n int64
		err := guard(func() (err error) {
			n, err = measureBlock(buf)
			return err
		})
		if errors.Is(err, errNoBlock) {
			return 0
		}
		if err == nil && n+block.TrailerLen <= window {
			return n
		}
		if window == f.size-at {
			return 0
		}
	}
}

var (
	errNoBlock = errors.New("no block of values")
	errShort   = errors.New("block is longer than what was read")
)

// measureBlock returns the length of the block that b begins with: up to the end
// of its only column, and one byte of padding.
func measureBlock(b []byte) (int64, error) {
	if len(b) < 12 {
		return 0, errNoBlock
	}
	rows := binary.LittleEndian.Uint32(b[3:])
	page := binary.LittleEndian.Uint32(b[8:])
	if b[0] != byte(colblk.Version1) || binary.LittleEndian.Uint16(b[1:]) != blobColumns ||
		b[7] != byte(colblk.DataTypeBytes) || rows == 0 || rows > blobMaxRows || page > 64 {
		return 0, errNoBlock
	}
	if 9*int(rows)+64 > len(b) {
		return 0, errShort
	}
	_, end := colblk.DecodeRawBytes(b, page, int(rows))
	return int64(end) + 1, nil
}
