package crash

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/admin"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
	"github.com/currentsbridge/currentsbridge/bridge/intake"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/pebble"
)

var cuts = flag.Int("cuts", 40, "how often TestPowerCuts cuts the power")

// machine is one life of a bridge that is put together in this process, as
// package bridge does it, on a disk that forgets what was not synced.
type machine struct {
	store         *pebble.Store
	intake, admin *httptest.Server
	stop          context.CancelFunc
	senders       sync.WaitGroup
}

// syncTime is how long a sync usually takes, at most. Memory has none to wait
// for, and much of what can go wrong goes wrong while one is under way. Now and
// then a sync is slow, as on a disk that others use: it then takes longer than
// several POSTs.
const syncTime = 4 * time.Millisecond

// slow makes the syncs of a disk take their time.
func slow(disk vfs.FS) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			wait := time.Duration(rand.Int64N(int64(syncTime)))
			if rand.IntN(15) == 0 {
				wait += 15 * syncTime
			}
			pause(context.Background(), wait)
		}
		return nil
	}))
}

// boot opens the disk and starts everything.
func boot(disk vfs.FS, sink *sink, life int) (*machine, error) {
	store, err := pebble.Open("data", pebble.Options{
		FS: slow(disk), Reserve: 1, CheckEvery: 5 * time.Millisecond,
		RetainAge: 50 * time.Millisecond, RetainBytes: 1 << 20,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &machine{store: store, stop: stop}
	in, ad := intake.Config{}, admin.Config{Usage: store.Usage}
	for _, c := range connectors() {
		q, err := store.Open(ctx, c.name, dedupeWindow)
		if err != nil {
			return nil, err
		}
		mapper, err := mapping.New(mapping.Options{Webhook: c.mode == "webhook"})
		if err != nil {
			return nil, err
		}
		sender, err := delivery.New(delivery.Config{
			Name: c.name, Queue: queue.Claims(q), Replays: q, Mapper: mapper, URL: sink.of(life, c.name), WriteKey: "wk", Mode: delivery.Mode(c.mode),
			Concurrency: concurrency, MaxEvents: batchEvents, Timeout: postTimeout,
			MinBackoff: minBackoff, MaxBackoff: maxBackoff, Grace: -1, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			return nil, err
		}
		m.senders.Go(func() { _ = sender.Run(ctx) }) // a store that fails shows in the books
		in.Connectors = append(in.Connectors, intake.Connector{
			Name: c.name, Tokens: []string{c.token()}, Queue: q, Webhook: c.mode == "webhook",
			MissingExternalUserID: intake.Policy(c.missing),
		})
		ad.Connectors = append(ad.Connectors, admin.Connector{Name: c.name, Queue: q, Destination: sender.State, Resume: sender.Resume})
	}
	public, err := intake.New(in)
	if err != nil {
		return nil, err
	}
	private, err := admin.New(ad)
	if err != nil {
		return nil, err
	}
	m.intake, m.admin = httptest.NewServer(public), httptest.NewServer(private)
	return m, nil
}

// dispose takes the machine apart once nobody looks at what it does.
func (m *machine) dispose() error {
	m.stop()
	m.senders.Wait()
	m.intake.CloseClientConnections()
	m.intake.Close()
	m.admin.Close()
	return m.store.Close()
}

// roomy is what a disk says of itself.
var roomy = vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: 50 << 30, UsedBytes: 50 << 30}

// TestPowerCuts cuts the power under the parts of a bridge again and again, with
// none, some or all of what was not synced on disk afterwards.
func TestPowerCuts(t *testing.T) {
	b, d := newBooks(), newDoor()
	rng := rand.New(rand.NewPCG(*seed, 1))
	rudder := startSink(t, b, *seed)
	senders := startBraze(t, b, d, *seed)
	operator := operator{books: b}
	disk := vfs.NewCrashableMem()
	disk.TestingSetDiskUsage(roomy)
	began := time.Now()
	life := 1
	for ; life <= *cuts; life++ {
		disk = cutPower(t, disk, rudder, d, &operator, life, rng)
		if life%20 == 0 {
			t.Logf("%d power cuts, %d left, %.1f a second", life, *cuts-life, float64(life)/time.Since(began).Seconds())
		}
		require.NoError(t, b.err())
	}
	rudder.calm.Store(true)
	m, err := boot(disk, rudder, life)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d.open(life, m.intake.URL)
	require.NoError(t, senders.stop(ctx))
	require.NoError(t, operator.finish(ctx, m.admin.URL))
	require.NoError(t, m.dispose())
	rudder.close()
	sum := b.settle()
	t.Logf("%d power cuts in %s, seed %d\n%s", *cuts, time.Since(began).Round(time.Second), *seed, sum)
	require.NoError(t, b.err())
	require.NotZero(t, sum.duplicates, "no cut has made a duplicate: none can have struck in flight")
	require.NotZero(t, sum.dead)
	require.NotZero(t, sum.filtered)
}

// cutPower is one life: it works until a random moment, and what is on the disk
// then is what the next one finds.
func cutPower(t *testing.T, disk *vfs.MemFS, rudder *sink, d *door, o *operator, life int, rng *rand.Rand) *vfs.MemFS {
	t.Helper()
	m, err := boot(disk, rudder, life)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+rng.IntN(150))*time.Millisecond)
	defer cancel()
	d.open(life, m.intake.URL)
	if err := o.look(ctx, m.admin.URL, false); !errors.Is(err, context.DeadlineExceeded) {
		require.NoError(t, err)
	}
	<-ctx.Done()
	percent := [...]int{0, 0, 100, rng.IntN(100)}[rng.IntN(4)]
	// From here on nothing that this life does is done. What it had done must
	// be on the disk; what it does until the disk is copied may be.
	d.close()
	o.books.end(life)
	clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	clone.TestingSetDiskUsage(roomy)
	require.NoError(t, m.dispose())
	return clone
}
