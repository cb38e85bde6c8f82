// Package smalldisk gives a test a file system of its own, to fill.
package smalldisk

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Mount mounts a file system of so many bytes, which only root may, and returns
// its directory. Where it may not, the test is skipped, but not in CI.
func Mount(t testing.TB, size int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small file system cannot be mounted, and CI must be able to (as root, with CAP_SYS_ADMIN): %v", err)
		}
		t.Skipf("SKIPPED: what happens on a full disk is not tested, since a small file system cannot be mounted (run as root, with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// Free returns the bytes that are free in the file system of a directory.
func Free(t testing.TB, dir string) int64 {
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &st))
	return int64(st.Bavail) * st.Bsize
}

// Fill writes to a file until the file system has only leave bytes free; 0: until
// nothing can be written any more.
func Fill(t testing.TB, file string, leave int64) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer f.Close()
	page := make([]byte, 4<<10)
	for Free(t, filepath.Dir(file)) > leave {
		if _, err := f.Write(page); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			return
		}
	}
}
