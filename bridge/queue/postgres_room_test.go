package queue_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/pgtest"
	"github.com/currentsbridge/currentsbridge/internal/smalldisk"
)

const mib = 1 << 20

// fill appends batches of some 100 KB until there are so many bytes, or the store takes
// no more.
func (k *kit) fill(q *queue.Queue, bytes int) (err error) {
	for n := 0; n < bytes && err == nil; n += 100 << 10 {
		random := make([]byte, 100<<10)
		_, _ = rand.Read(random)
		body := []byte(hex.EncodeToString(random)) // which compresses to one half
		_, err = q.Append(k.ctx, queue.Batch{Body: body, Items: []queue.Item{{End: len(body)}}})
	}
	return err
}

// staysFull appends until nothing has been taken for some time: all history was given up.
func (k *kit) staysFull(q *queue.Queue, long time.Duration) {
	taken := time.Now()
	require.Eventually(k, func() bool {
		if _ = k.fill(q, 100*mib); !k.store.Usage().Full {
			taken = time.Now()
		}
		return time.Since(taken) > long
	}, 2*time.Minute, 100*time.Millisecond, "all that is left is pending")
}

// drain delivers all that is pending. On a full disk neither claims nor outcomes may be
// stored for a while.
func (k *kit) drain(q *queue.Queue) {
	k.eventually(func() bool {
		if q.Ledger().Pending() == 0 {
			return true
		}
		ctx, cancel := context.WithTimeout(k.ctx, time.Second)
		defer cancel()
		records, err := q.Claim(ctx, everything)
		if err == nil {
			err = q.Settle(k.ctx, delivered(records...))
			q.Release(records...)
		}
		return err != nil && !errors.Is(err, queue.ErrFull) && !errors.Is(err, context.DeadlineExceeded)
	}, "all is delivered")
	require.Zero(k, q.Ledger().Pending())
}

// A store that was full of pending events takes batches again soon after all were
// delivered, again and again, and a start of a full one takes none.
func TestFullStoreTakesBatchesAgain(t *testing.T) {
	k, q := openPG(t, queue.Options{URL: pgtest.Start(t, "fsync=off").Database(t), MaxBytes: 32 * mib})
	for range 3 {
		k.staysFull(q, 3*time.Second)
		q = k.reopen("a")
		require.ErrorIs(t, k.fill(q, mib), queue.ErrFull, "its size is known at the start")
		k.drain(q)
		drained := time.Now()
		k.eventually(func() bool { return k.fill(q, 2*mib) == nil }, "batches are taken again")
		t.Log("after", time.Since(drained).Round(100*time.Millisecond))
	}
}

// Retained bytes bound the disk, and no more history is given up than has to be.
func TestRetainedBytesBoundTheDisk(t *testing.T) {
	const retained = 16 * mib
	k, q := openPG(t, queue.Options{URL: pgtest.Start(t, "fsync=off").Database(t), RetainBytes: retained})
	for range 16 {
		require.NoError(t, k.fill(q, retained/4))
		k.drain(q)
		time.Sleep(time.Second) // so that tables are small
	}
	k.eventually(func() bool { return k.store.Usage().Bytes < retained*2 }, "what is not retained is given back")
	time.Sleep(2 * time.Second)
	require.Greater(t, k.store.Usage().Bytes, int64(retained*3/4))
}

// databaseOn makes a database whose tables are on a disk of so many bytes.
func databaseOn(t *testing.T, server *pgtest.Server, size int64) (url, disk string) {
	disk = smalldisk.Mount(t, size)
	require.NoError(t, exec.Command("chown", "postgres", disk).Run())
	for dir := filepath.Dir(disk); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o711)) // the server goes through it
	}
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, sql := range []string{`CREATE TABLESPACE small LOCATION '` + disk + `'`, `CREATE DATABASE small TABLESPACE small`, `CHECKPOINT`} {
		require.NoError(t, errOf(conn.Exec(t.Context(), sql)))
	}
	t.Cleanup(func() { server.Stop(syscall.SIGQUIT) }) // before the disk goes
	return server.URL("small"), disk
}

// On a server whose disk is full, history is given up until batches are taken again.
// Where there is none they are refused all the time, until there is room.
func TestFullDiskOfTheServer(t *testing.T) {
	url, disk := databaseOn(t, pgtest.Start(t, "fsync=off"), 128*mib)
	k, q := openPG(t, queue.Options{URL: url})
	for full := false; !full; k.drain(q) {
		full = k.fill(q, 16*mib) != nil
	}
	require.Eventually(t, func() bool { return k.fill(q, mib) == nil }, 2*time.Minute, 2*time.Millisecond, "history was given up")
	k.staysFull(q, 8*time.Second) // it is tried out every 5
	require.NoError(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, fmt.Sprint("size=", 512*mib)))
	k.eventually(func() bool { return k.fill(q, mib) == nil }, "batches are taken again")
	k.drain(q)
	k.balanced(q)
	require.Zero(t, k.store.Usage().Damaged)
}
