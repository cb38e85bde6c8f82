package queue

import (
	"os"
	"sync"

	"github.com/ncruces/go-sqlite3/vfs"
)

// diskVFS is the operating system's files without memory mapping, which the
// library cannot combine with page checksums: a checkpoint of both panics.
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
	return diskFile{f}, out, err
}

// diskFile has what SQLite makes use of beside reading and writing.
type diskFile struct{ vfs.File }

func (f diskFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f diskFile) SizeHint(n int64) error { return f.File.(vfs.FileSizeHint).SizeHint(n) }
