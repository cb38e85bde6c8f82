package queue_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// crashDisk is a file system for SQLite over a real directory. It knows what was
// synced: crash makes a directory that holds this and some of the rest. Its syncs
// are held up while hold is locked, and can be made to fail.
type crashDisk struct {
	vfs.VFS
	name string

	full  atomic.Bool // there is no room for what is written
	wrote atomic.Bool // something was to be written all the same
	hold  sync.RWMutex
	fail  bool // under hold

	mu     sync.Mutex
	synced map[string]*image // of each file, by its path
}

// image is what a file holds for certain, and where it was written since.
type image struct {
	data     []byte
	from, to int
}

func newCrashDisk() *crashDisk {
	d := &crashDisk{VFS: vfs.Find(""), synced: map[string]*image{}}
	d.name = fmt.Sprintf("crash-%p", d)
	vfs.Register(d.name, queue.OnDisk(d))
	return d
}

func (d *crashDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := d.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil || name == nil {
		return f, out, err
	}
	c := &crashFile{f, d, name.String()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.synced[c.path] == nil {
		data, err := os.ReadFile(c.path)
		d.synced[c.path] = &image{data: data}
		return c, out, err
	}
	return c, out, nil
}

func (d *crashDisk) Delete(name string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.synced, name)
	return d.VFS.Delete(name, syncDir)
}

// crash cuts the power. What was synced is in the directory to, and of the sectors
// that were written since about the given percentage.
func (d *crashDisk) crash(to string, percent int, seed uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const sector = 512
	rng := rand.New(rand.NewPCG(seed, 7))
	for path, i := range d.synced {
		now, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "-shm") {
			continue // it is made anew
		}
		if len(now) < len(i.data) && rng.IntN(100) < percent {
			i.data = i.data[:len(now)]
		}
		for at := i.from &^ (sector - 1); at < min(i.to, len(now)); at += sector {
			if end := min(at+sector, len(now)); rng.IntN(100) < percent {
				i.data = append(i.data, make([]byte, max(0, end-len(i.data)))...)
				copy(i.data[at:], now[at:end])
			}
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), i.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// crashFile is a file of a crashDisk.
type crashFile struct {
	vfs.File
	disk *crashDisk
	path string
}

func (f *crashFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *crashFile) WriteAt(p []byte, at int64) (int, error) {
	if f.disk.full.Load() {
		f.disk.wrote.Store(true)
		return 0, &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	i, end := f.disk.synced[f.path], int(at)+len(p)
	if i.to == 0 {
		i.from = int(at)
	}
	i.from, i.to = min(i.from, int(at)), max(i.to, end)
	return f.File.WriteAt(p, at)
}

func (f *crashFile) Sync(vfs.SyncFlag) error {
	f.disk.hold.RLock()
	defer f.disk.hold.RUnlock()
	if f.disk.fail {
		return errors.New("injected: sync failed")
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	size, err := f.Size()
	i := f.disk.synced[f.path]
	i.data = append(i.data, make([]byte, max(0, int(size)-len(i.data)))...)[:size]
	if end := min(i.to, int(size)); err == nil && i.from < end {
		_, err = f.ReadAt(i.data[i.from:end], int64(i.from))
	}
	i.from, i.to = 0, 0
	return err
}
