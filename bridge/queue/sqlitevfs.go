package queue

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// diskVFS is the operating system's files without memory mapping, which the
// library cannot combine with page checksums: closing a file of both panics. Its
// files remember where they were read last, so that an error can name the page.
type diskVFS struct{ vfs.VFS }

const diskVFSName = "queue-disk"

// registerVFS makes the file system known to the library, which keeps a registry
// of them.
var registerVFS = sync.OnceFunc(func() { vfs.Register(diskVFSName, diskVFS{vfs.Find("")}) })

func (d diskVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	if name != nil && flags&vfs.OPEN_CREATE != 0 { // the library would let others read them
		paths := []string{name.String()}
		if flags&vfs.OPEN_MAIN_DB != 0 {
			paths = append(paths, name.String()+"-shm")
		}
		for _, path := range paths {
			if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
				f.Close()
			}
		}
	}
	f, out, err := d.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, out, err
	}
	return &diskFile{File: f}, out, nil
}

type diskFile struct {
	vfs.File
	last atomic.Int64
}

func (f *diskFile) ReadAt(p []byte, at int64) (int, error) {
	f.last.Store(at)
	return f.File.ReadAt(p, at)
}

// The interfaces of a file that SQLite makes use of.

func (f *diskFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}
func (f *diskFile) LockState() vfs.LockLevel { return f.File.(vfs.FileLockState).LockState() }
func (f *diskFile) SizeHint(n int64) error   { return f.File.(vfs.FileSizeHint).SizeHint(n) }
func (f *diskFile) PersistWAL() bool         { return f.File.(vfs.FilePersistWAL).PersistWAL() }
func (f *diskFile) SetPersistWAL(on bool)    { f.File.(vfs.FilePersistWAL).SetPersistWAL(on) }
func (f *diskFile) PowersafeOverwrite() bool {
	return f.File.(vfs.FilePowersafeOverwrite).PowersafeOverwrite()
}
func (f *diskFile) SetPowersafeOverwrite(on bool) {
	f.File.(vfs.FilePowersafeOverwrite).SetPowersafeOverwrite(on)
}

// lastPage returns the number of the page that a connection has read last; 0:
// unknown.
func lastPage(c *sqlite3.Conn) int64 {
	handle, err := c.FileControl("main", sqlite3.FCNTL_FILE_POINTER)
	if err != nil {
		return 0
	}
	for {
		switch f := handle.(type) {
		case *diskFile:
			return f.last.Load()/pageSize + 1
		case vfs.FileUnwrap:
			handle = f.Unwrap()
		default:
			return 0
		}
	}
}
