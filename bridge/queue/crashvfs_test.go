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

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// crashDisk is a file system for SQLite over a real directory. It knows what was
// synced: crash makes a directory that holds this and some of the rest. Its syncs
// can be held up and made to fail.
type crashDisk struct {
	vfs.VFS
	name string

	mu      sync.Mutex
	files   map[string]*synced
	stalled chan struct{} // closed when syncs may go on; nil: they may
	fail    bool
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

func newCrashDisk() *crashDisk {
	d := &crashDisk{VFS: vfs.Find(""), name: fmt.Sprintf("crash%d", diskNumber.Add(1)), files: map[string]*synced{}}
	vfs.Register(d.name, queue.OnDisk(d))
	return d
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
	delete(d.files, filepath.Base(name))
	return d.VFS.Delete(name, syncDir)
}

// crash cuts the power. What was synced is in the directory to, and of the rest
// about the given percentage.
func (d *crashDisk) crash(to string, percent int, seed uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
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

func (f *crashFile) note(w unsynced) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if s := f.disk.files[f.key]; s != nil {
		s.writes = append(s.writes, w)
	}
}

func (f *crashFile) WriteAt(p []byte, at int64) (int, error) {
	f.note(unsynced{at, append([]byte{}, p...)})
	return f.File.WriteAt(p, at)
}

func (f *crashFile) Truncate(size int64) error {
	f.note(unsynced{at: size})
	return f.File.Truncate(size)
}

func (f *crashFile) Sync(flags vfs.SyncFlag) error {
	d := f.disk
	d.mu.Lock()
	gate := d.stalled
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail {
		return errors.New("injected: sync failed")
	}
	if s := d.files[f.key]; s != nil {
		for _, w := range s.writes {
			s.apply(w)
		}
		s.writes = nil
	}
	return nil
}
