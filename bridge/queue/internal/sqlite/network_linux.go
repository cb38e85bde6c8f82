package sqlite

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// networkFiles are the file systems on which SQLite's log is not safe: its shared
// memory and its locks do not hold across machines, and often not on one.
var networkFiles = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "CIFS",
	unix.SMB2_SUPER_MAGIC: "SMB", unix.V9FS_MAGIC: "9p", unix.AFS_SUPER_MAGIC: "AFS", unix.CODA_SUPER_MAGIC: "Coda",
	unix.CEPH_SUPER_MAGIC: "CephFS", unix.NCP_SUPER_MAGIC: "NCP",
}

// refuseNetwork refuses a directory on a network file system.
func refuseNetwork(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return err
	}
	if name := networkFiles[int64(fs.Type)&0xffffffff]; name != "" { //nolint:unconvert // it is 32 bits on some machines
		return fmt.Errorf("%s is on a network file system (%s), where the queue's log is not safe: use a local disk, or queue: postgres://…", dir, name)
	}
	return nil
}
