package sqlite

import (
	"cmp"
	"os"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// diskVFS is the operating system's files without memory mapping, which the
// library cannot combine with page checksums: a checkpoint of both panics.
type diskVFS struct{ vfs.VFS }

// OnDisk is a file system as the store uses it, over another one.
func OnDisk(v vfs.VFS) vfs.VFS { return diskVFS{v} }

const diskVFSName = "queue-disk"

// registerVFS makes the file system known to the library, which keeps a registry
// of them.
var registerVFS = sync.OnceFunc(func() { vfs.Register(diskVFSName, OnDisk(vfs.Find(""))) })

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
	if err == nil && flags&vfs.OPEN_WAL != 0 {
		return &logFile{File: f}, out, nil
	}
	return diskFile{f}, out, err
}

// diskFile has what SQLite needs beside reading and writing.
type diskFile struct{ vfs.File }

func (f diskFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

// logFile is the log. SQLite writes it in small pieces, two for each page; they are
// joined, up to joinedWrite bytes, and written before the file is read, cut or synced.
// Other connections are told of a transaction's pages only after its sync.
type logFile struct {
	vfs.File
	joined []byte
	at     int64 // where joined begins
}

const joinedWrite = 256 << 10

func (f *logFile) WriteAt(p []byte, at int64) (int, error) {
	if at != f.at+int64(len(f.joined)) || len(f.joined)+len(p) > joinedWrite {
		if err := f.write(); err != nil {
			return 0, err
		}
		f.at = at
	}
	f.joined = append(f.joined, p...)
	return len(p), nil
}

// write writes what was joined. Where that fails it is dropped: the error ends the
// transaction, and SQLite writes in the same place again.
func (f *logFile) write() error {
	p := f.joined
	f.joined = p[:0]
	if len(p) == 0 {
		return nil
	}
	_, err := f.File.WriteAt(p, f.at)
	return vfs.SystemError(err, sqlite3.IOERR_WRITE) // within a sync too: a full disk is no failed sync
}

func (f *logFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

func (f *logFile) Sync(flags vfs.SyncFlag) error { return cmp.Or(f.write(), f.File.Sync(flags)) }

func (f *logFile) Truncate(size int64) error { return cmp.Or(f.write(), f.File.Truncate(size)) }
