package pebble

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// plan says how far the moving of files is. While it is there the bridge does
// not start, and a repair begins with what is left to move.
type plan struct {
	SetAside string `json:"set_aside"` // where the old files go
	In       bool   `json:"in"`        // they are there; the new ones are on their way
}

// resume brings a repair that was interrupted to its end; false: there is none.
func (r *repair) resume() (bool, error) {
	f, err := r.opts.FS.Open(r.opts.FS.PathJoin(r.dir, repairPlan))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the plan of a repair: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return false, fmt.Errorf("read the plan of a repair: %w", err)
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil || !strings.HasPrefix(p.SetAside, setAside) || strings.ContainsAny(p.SetAside, `/\`) {
		return false, fmt.Errorf("%s in %s is damaged: %q; move the files of %s to %s yourself and remove it", repairPlan, r.dir, text, repairDir, r.dir)
	}
	if r.opts.DryRun {
		return true, fmt.Errorf("%s: a repair was interrupted; run it without --dry-run to finish it", r.dir)
	}
	r.report.Resumed = true
	return true, r.move(p)
}

// swap puts the new store in the place of the old one.
func (r *repair) swap() error {
	p := plan{SetAside: setAside + r.opts.Now().UTC().Format("20060102T150405Z")}
	for i := 2; r.exists(p.SetAside); i++ {
		p.SetAside = fmt.Sprintf("%s%s-%d", setAside, r.opts.Now().UTC().Format("20060102T150405Z"), i)
	}
	if err := r.writePlan(p); err != nil {
		return err
	}
	return r.move(p)
}

func (r *repair) exists(name string) bool {
	_, err := r.opts.FS.Stat(r.opts.FS.PathJoin(r.dir, name))
	return err == nil
}

// move does what is left of a plan. Each step may be done twice.
func (r *repair) move(p plan) error {
	aside := r.opts.FS.PathJoin(r.dir, p.SetAside)
	fresh := r.opts.FS.PathJoin(r.dir, repairDir)
	r.report.SetAside = aside
	if !p.In {
		if err := makeDir(r.opts.FS, aside); err != nil {
			return err
		}
		if err := r.moveFiles(r.dir, aside); err != nil {
			return err
		}
		p.In = true
		if err := r.writePlan(p); err != nil {
			return err
		}
	}
	if err := r.moveFiles(fresh, r.dir); err != nil {
		return err
	}
	r.report.BytesSetAside = r.sizeOf(aside)
	if err := r.opts.FS.Remove(r.opts.FS.PathJoin(r.dir, repairPlan)); err != nil {
		return fmt.Errorf("end the repair: %w", err)
	}
	return errors.Join(syncDir(r.opts.FS, r.dir), r.dropNew())
}

func (r *repair) sizeOf(dir string) (bytes int64) {
	names, err := r.opts.FS.List(dir)
	if err != nil {
		return 0
	}
	for _, name := range names {
		if info, err := r.opts.FS.Stat(r.opts.FS.PathJoin(dir, name)); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// moveFiles moves the files of a store, those that make it one last.
func (r *repair) moveFiles(from, to string) error {
	names, err := r.opts.FS.List(from)
	if err != nil {
		return fmt.Errorf("read %s: %w", from, err)
	}
	slices.SortFunc(names, func(a, b string) int { return fileRank(a) - fileRank(b) })
	for _, name := range names {
		if fileRank(name) == 0 {
			continue
		}
		if err := r.opts.FS.Rename(r.opts.FS.PathJoin(from, name), r.opts.FS.PathJoin(to, name)); err != nil {
			return fmt.Errorf("move %s to %s: %w", name, to, err)
		}
	}
	return errors.Join(syncDir(r.opts.FS, to), syncDir(r.opts.FS, from))
}

// fileRank is the order in which the files of a store are moved; 0: it is none.
func fileRank(name string) int {
	_, isData := parseName(name)
	for i, prefix := range [...]string{"OPTIONS-", "CURRENT", "MANIFEST-", formatMarker, manifestMarker} {
		if strings.HasPrefix(name, prefix) {
			return 2 + i
		}
	}
	if isData || strings.HasSuffix(name, ".dbtmp") || strings.HasPrefix(name, "marker.") {
		return 1
	}
	return 0
}

// writePlan writes the plan whole or not at all.
func (r *repair) writePlan(p plan) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write the plan of the repair: %w", err)
	}
	name := r.opts.FS.PathJoin(r.dir, repairPlan)
	f, err := r.opts.FS.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write the plan of the repair: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the plan of the repair: %w", err)
	}
	if err := r.opts.FS.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write the plan of the repair: %w", err)
	}
	return syncDir(r.opts.FS, r.dir)
}
