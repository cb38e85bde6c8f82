package queue_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/stretchr/testify/require"
)

// crashDisk is a file system for SQLite over a real directory. It knows what was
// synced: crash makes a directory that holds this and some of the rest. Its syncs
// can be held up and made to fail.
type crashDisk struct {
	vfs.VFS
	name string

	mu      sync.Mutex
	files   map[string]*synced
	dead    bool
	stalled chan struct{} // closed when syncs may go on; nil: they may
	fail    bool
	lazy    bool // sync returns and has done nothing
	syncs   atomic.Int64
}

// synced is what a file holds for certain, and the writes since.
type synced struct {
	image  []byte
	writes []unsynced
}

type unsynced struct {
	at   int64
	data []byte // nil: the file was cut at at
}

func (f *synced) apply(w unsynced) {
	if w.data == nil {
		f.image = f.image[:min(int64(len(f.image)), w.at)]
		return
	}
	if need := int(w.at) + len(w.data) - len(f.image); need > 0 {
		f.image = append(f.image, make([]byte, need)...)
	}
	copy(f.image[w.at:], w.data)
}

var diskNumber atomic.Int64

func newCrashDisk(t *testing.T) *crashDisk {
	d := &crashDisk{VFS: vfs.Find(""), name: fmt.Sprintf("crash%d", diskNumber.Add(1)), files: map[string]*synced{}}
	vfs.Register(d.name, d)
	return d
}

var errDead = errors.New("injected: the power is off")

func (d *crashDisk) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, 0, sqlite3.CANTOPEN
}

func (d *crashDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := d.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil || name == nil {
		return f, out, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := filepath.Base(name.String())
	if d.files[key] == nil {
		image, err := os.ReadFile(name.String())
		if err != nil {
			return nil, out, err
		}
		d.files[key] = &synced{image: image}
	}
	return &crashFile{File: f, disk: d, key: key}, out, nil
}

func (d *crashDisk) Delete(name string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDead
	}
	delete(d.files, filepath.Base(name))
	return d.VFS.Delete(name, syncDir)
}

// crash cuts the power. What was synced is in the directory to, and of the rest
// about the given percentage.
func (d *crashDisk) crash(to string, percent int, seed uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	rng := rand.New(rand.NewPCG(seed, 7))
	for name, f := range d.files {
		if strings.HasSuffix(name, "-shm") {
			continue
		}
		for _, w := range f.writes {
			if rng.IntN(100) < percent {
				f.apply(w)
			}
		}
		if err := os.WriteFile(filepath.Join(to, name), f.image, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// stall holds up syncs until release is called, which lets them go on, or fail.
func (d *crashDisk) stall() (release func(fail bool)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gate := make(chan struct{})
	d.stalled = gate
	return func(fail bool) {
		d.mu.Lock()
		d.stalled, d.fail = nil, fail
		d.mu.Unlock()
		close(gate)
	}
}

// crashFile is a file of a crashDisk.
type crashFile struct {
	vfs.File
	disk *crashDisk
	key  string
}

func (f *crashFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *crashFile) note(w unsynced) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.dead {
		return errDead
	}
	if s := f.disk.files[f.key]; s != nil {
		s.writes = append(s.writes, w)
	}
	return nil
}

func (f *crashFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.note(unsynced{at, append([]byte{}, p...)}); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f *crashFile) Truncate(size int64) error {
	if err := f.note(unsynced{at: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *crashFile) ReadAt(p []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	dead := f.disk.dead
	f.disk.mu.Unlock()
	if dead {
		return 0, errDead
	}
	n, err := f.File.ReadAt(p, at)
	if n < len(p) && err == nil {
		err = io.EOF
	}
	return n, err
}

func (f *crashFile) Sync(flags vfs.SyncFlag) error {
	d := f.disk
	d.syncs.Add(1)
	d.mu.Lock()
	gate := d.stalled
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.dead:
		return errDead
	case d.fail:
		return errors.New("injected: sync failed")
	case d.lazy:
		return nil
	}
	if s := d.files[f.key]; s != nil {
		for _, w := range s.writes {
			s.apply(w)
		}
		s.writes = nil
	}
	return nil
}

// The disk itself: what was not synced is gone, what was is there.
func TestCrashDisk(t *testing.T) {
	d := newCrashDisk(t)
	dir, after := t.TempDir(), t.TempDir()
	c, err := sqlite3.Open("file:" + filepath.Join(dir, "x.db") + "?vfs=" + d.name)
	require.NoError(t, err)
	require.NoError(t, c.Exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n); INSERT INTO t VALUES (1)`))
	require.NoError(t, c.Exec(`PRAGMA synchronous = OFF; INSERT INTO t VALUES (2)`))
	require.NoError(t, d.crash(after, 0, 1))
	c.Close()
	c, err = sqlite3.Open("file:" + filepath.Join(after, "x.db"))
	require.NoError(t, err)
	defer c.Close()
	s, _, err := c.Prepare(`SELECT group_concat(n) FROM t`)
	require.NoError(t, err)
	require.True(t, s.Step())
	require.Equal(t, "1", s.ColumnText(0))
	require.NoError(t, s.Close())
}
