package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// RepairOptions configure a repair. The zero RepairOptions are good.
type RepairOptions struct {
	// FS is the file system; nil: the operating system's.
	FS vfs.FS
	// DryRun reads everything and says what a repair would do, but changes
	// nothing.
	DryRun bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Progress is called every now and then; nil: nobody asks.
	Progress func(RepairProgress)

	memTable uint64
}

// RepairProgress is how far a repair is.
type RepairProgress struct {
	Done, Total int64 // bytes of the old files that were read, and that there are
}

// RepairReport is what a repair has found and done.
type RepairReport struct {
	Dir string `json:"dir"`
	// Whole: nothing was wrong, and nothing was changed.
	Whole bool `json:"whole"`
	// Resumed: a repair that was interrupted has been brought to its end. What
	// it found is not known any more.
	Resumed bool `json:"resumed,omitempty"`
	// SetAside is where the old files are now; empty: they were not moved.
	SetAside      string `json:"set_aside,omitempty"`
	BytesRead     int64  `json:"bytes_read"`
	BytesSetAside int64  `json:"bytes_set_aside"`
	// Damages are the places that could not be read, at most a thousand of them.
	Damages    []Damage            `json:"damages"`
	Places     int                 `json:"damaged_places"`
	Connectors []RepairedConnector `json:"connectors"`
	// Torn are the ends of logs that were given up. What a crash cuts off was
	// never acknowledged.
	Torn []Damage `json:"torn,omitempty"`
	// Estimates say which numbers could not be told for sure, and why.
	Estimates []string `json:"estimates,omitempty"`
}

// RepairedConnector is what a repair has done to a connector's queue.
type RepairedConnector struct {
	Name string `json:"name"`
	// Lost are events that were pending and cannot be read. Each is a dead
	// letter with the reason "damaged" now.
	Lost uint64 `json:"lost"`
	// LostDead are dead letters that cannot be read. They stay, without the event.
	LostDead uint64 `json:"lost_dead"`
	// Again are events whose outcome was lost: they will be delivered again.
	Again   uint64 `json:"again"`
	Pending uint64 `json:"pending"`
	Dead    uint64 `json:"dead"`
}

// ReasonDamaged is the reason of dead letters for events that could not be read.
const ReasonDamaged = "damaged"

const (
	repairDir    = "repair-new"  // where the new store is written
	repairPlan   = "repair.plan" // is there while files are being moved
	setAside     = "set-aside-"  // + time: where old files go
	maxDamages   = 1000
	repairMargin = 64 << 20 // bytes that a repair needs beside the size of the store
)

// repair is one repair under way.
type repair struct {
	opts   RepairOptions
	dir    string
	report RepairReport
	// doubted: all could be read, and yet the store does not open. Something may
	// be missing as a whole.
	doubted bool
}

// Repair makes the store in dir whole again. It reads what can be read, whatever
// is damaged or missing, writes a new store from it, and moves the old files to
// dir/set-aside-TIME; nothing is deleted. Pending events that cannot be read
// become dead letters with the reason ReasonDamaged, so that the ledger holds.
// It needs as much free disk as the store takes, and little memory. A bridge
// that runs on dir makes it fail with queue.ErrLocked. Interrupted, it has
// either changed nothing or is brought to its end by the next Repair.
func Repair(ctx context.Context, dir string, opts RepairOptions) (RepairReport, error) {
	if opts.FS == nil {
		opts.FS = private{vfs.Default}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Progress == nil {
		opts.Progress = func(RepairProgress) {}
	}
	r := &repair{opts: opts, dir: dir, report: RepairReport{Dir: dir, Damages: []Damage{}, Connectors: []RepairedConnector{}}}
	if _, err := opts.FS.Stat(dir); err != nil {
		return r.report, fmt.Errorf("no data directory to repair: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, opts.FS)
	if err != nil {
		return r.report, lockError(dir, err)
	}
	again, err := r.run(ctx)
	err = errors.Join(err, lock.Close())
	if err != nil || !again {
		return r.report, err
	}
	return r.report, r.verify(ctx)
}

// run does all of it under the lock. It returns true where nothing was found to
// be wrong and only an attempt to open the store can tell.
func (r *repair) run(ctx context.Context) (bool, error) {
	if done, err := r.resume(); done || err != nil {
		return false, err
	}
	if err := checkNewer(r.opts.FS, r.dir); err != nil {
		return false, err
	}
	clean, err := r.salvage(ctx)
	if err != nil {
		return false, errors.Join(err, r.dropNew())
	}
	if clean || r.opts.DryRun {
		r.report.Whole = clean
		return clean && !r.opts.DryRun, r.dropNew()
	}
	return false, r.swap()
}

// verify opens the store as the bridge would. Where that fails although every
// block could be read, only Pebble's own files can be at fault, and the store
// is written anew.
func (r *repair) verify(ctx context.Context) error {
	s, err := Open(r.dir, Options{FS: r.opts.FS})
	if err == nil {
		return s.Close()
	}
	if !errors.Is(err, queue.ErrDamaged) {
		return err
	}
	r.report.Whole, r.doubted = false, true
	r.note(Damage{File: r.opts.FS.PathBase(r.dir), Problem: brief(err)})
	places := r.report
	lock, err := pebble.LockDirectory(r.dir, r.opts.FS)
	if err != nil {
		return lockError(r.dir, err)
	}
	r.report.Damages, r.report.Places, r.report.Connectors = nil, 0, nil
	if _, err = r.salvage(ctx); err == nil {
		err = r.swap()
	}
	r.report.Damages = append(places.Damages, r.report.Damages...)
	r.report.Places += places.Places
	return errors.Join(err, lock.Close())
}

// checkNewer leaves alone what a newer bridge wrote.
func checkNewer(in vfs.FS, dir string) error {
	if err := checkFormat(in, dir); errors.Is(err, queue.ErrNewerFormat) {
		return err
	}
	return nil
}

func (r *repair) note(d Damage) {
	r.report.Places++
	if len(r.report.Damages) < maxDamages {
		r.report.Damages = append(r.report.Damages, d)
	}
}

func (r *repair) estimate(format string, args ...any) {
	r.report.Estimates = append(r.report.Estimates, fmt.Sprintf(format, args...))
}

// salvage writes the new store, or in a dry run its keys into memory. It returns
// true where nothing was found to be wrong.
func (r *repair) salvage(ctx context.Context) (bool, error) {
	files, err := listFiles(r.opts.FS, r.dir)
	if err != nil {
		return false, err
	}
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	if err := r.needRoom(total); err != nil {
		return false, err
	}
	if err := r.lookAtFrames(); err != nil {
		return false, err
	}
	s, err := r.newSalvage()
	if err != nil {
		return false, err
	}
	err = s.readAll(ctx, files, total)
	if err == nil && s.unsealed > 0 {
		err = fmt.Errorf("%s: %d values are from a version of the bridge whose records cannot be told apart; nothing was changed", r.dir, s.unsealed)
	}
	if err == nil {
		err = s.rebuild(ctx)
	}
	return r.report.Places == 0 && !s.changed, errors.Join(err, s.db.Close())
}

func (r *repair) needRoom(total int64) error {
	usage, err := r.opts.FS.GetDiskUsage(r.dir)
	if err != nil || r.opts.DryRun || int64(usage.AvailBytes) > total+repairMargin {
		return nil // where it is not known, it is tried
	}
	return fmt.Errorf("%s: a repair writes the store anew and needs %d bytes of free disk; there are %d", r.dir, total+repairMargin, usage.AvailBytes)
}

// lookAtFrames notes what is wrong with the files in which Pebble keeps track of
// the others. What they say is not needed.
func (r *repair) lookAtFrames() error {
	names, err := r.opts.FS.List(r.dir)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	var file *damagedFile
	if err := checkFormat(r.opts.FS, r.dir); errors.As(err, &file) {
		r.note(file.Damage)
	}
	marked := false
	for _, name := range names {
		marked = marked || strings.HasPrefix(name, formatMarker)
		if !strings.HasPrefix(name, "MANIFEST-") {
			continue
		}
		o := &opening{FS: r.opts.FS, dir: r.dir, log: slog.New(slog.DiscardHandler)}
		if err := o.check(r.opts.FS.PathJoin(r.dir, name)); errors.As(err, &file) {
			r.note(file.Damage)
		} else if err != nil {
			return err
		}
	}
	if !marked {
		r.note(Damage{File: formatMarker + "*", Problem: "it is not there"})
	}
	return nil
}

// newSalvage makes the new store. One that an earlier repair left unfinished
// goes: it was never used.
func (r *repair) newSalvage() (*salvage, error) {
	opts := Options{FS: r.opts.FS, memTable: r.opts.memTable}
	dir := r.opts.FS.PathJoin(r.dir, repairDir)
	if r.opts.DryRun {
		opts.FS = vfs.NewMem()
	} else {
		if err := r.dropNew(); err != nil {
			return nil, err
		}
		if err := makeDir(r.opts.FS, dir); err != nil {
			return nil, err
		}
	}
	tuned := tuning(opts.withDefaults())
	tuned.DisableWAL = true
	db, err := pebble.Open(dir, tuned)
	if err != nil {
		return nil, fmt.Errorf("create the new store in %s: %w", dir, err)
	}
	return &salvage{repair: r, db: db, small: map[string]version{}, deleted: map[string][]interval{}}, nil
}

func (r *repair) dropNew() error {
	if r.opts.DryRun {
		return nil
	}
	err := r.opts.FS.RemoveAll(r.opts.FS.PathJoin(r.dir, repairDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier repair left: %w", err)
	}
	return nil
}
