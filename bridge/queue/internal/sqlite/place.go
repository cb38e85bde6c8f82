package sqlite

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/queue/internal/sqldb"
)

const (
	databaseFile = "queue.db"
	logFileName  = databaseFile + "-wal"
	freshFile    = databaseFile + "-new"     // is being made: a kill leaves one that is worth nothing
	rebuiltFile  = databaseFile + "-rebuilt" // is whole, and about to take the place of the damaged one
	lockFile     = "LOCK"
	damagedMark  = databaseFile + "-damaged" // says that the next start rebuilds the file
)

// findFile sees to it that there is a file to be opened: it makes a new one, or ends what
// a killed rebuild has begun. A file is made whole before it has its name; so an empty one,
// or none beside a log, is what is left of a store after an accident. To begin with an
// empty store would hide that, and would overwrite the log.
func (s *DB) findFile() error {
	if s.VFS != "" {
		return nil // tests whose files are in memory
	}
	if _, err := os.Stat(s.path(rebuiltFile)); err == nil {
		return s.swap()
	}
	file, err := os.Stat(s.path(databaseFile))
	switch {
	case err == nil && file.Size() == 0:
		return fmt.Errorf("%w: %s is empty; restore a backup, or move it and %s away to begin anew", sqldb.ErrDamaged, s.path(databaseFile), logFileName)
	case err == nil || !errors.Is(err, os.ErrNotExist):
		return err
	}
	if log, err := os.Stat(s.path(logFileName)); err == nil && log.Size() > 0 {
		return fmt.Errorf("%w: %s is missing, and its log %s is there; put the file back, or move the log away to begin anew", sqldb.ErrDamaged, s.path(databaseFile), logFileName)
	}
	return s.makeFile(databaseFile, func(*connection) error { return nil })
}

// makeFile makes a file with the tables and what fill adds, which has its name only once
// all of it is on disk. It is written without a log, which would take its size once more.
func (s *DB) makeFile(name string, fill func(*connection) error) (err error) {
	beside := []string{freshFile + "-journal", freshFile + "-shm"}
	if err := s.remove(append(beside, freshFile)...); err != nil {
		return err
	}
	c, err := s.open(s.path(freshFile))
	if err == nil {
		err = c.create("OFF")
		if err == nil {
			err = fill(c)
		}
		err = errors.Join(err, c.close(), s.remove(beside...))
	}
	if err == nil {
		err = syncPath(s.path(freshFile))
	}
	if err != nil {
		return errors.Join(err, s.remove(freshFile))
	}
	if err := os.Rename(s.path(freshFile), s.path(name)); err != nil {
		return err
	}
	return syncPath(s.Dir)
}

// swap puts the rebuilt file into the place of the damaged one, which is kept with its
// log. Where a kill ends it half-way, the next start does the rest.
func (s *DB) swap() error {
	kept := databaseFile + "." + time.Now().UTC().Format("20060102-150405") + ".damaged"
	for from, to := range map[string]string{databaseFile: kept, logFileName: kept + "-wal"} {
		if err := os.Rename(s.path(from), s.path(to)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := s.remove(databaseFile+"-shm", damagedMark); err != nil {
		return err
	}
	if err := syncPath(s.Dir); err != nil { // the old log is gone before the new file is there
		return err
	}
	if err := os.Rename(s.path(rebuiltFile), s.path(databaseFile)); err != nil {
		return err
	}
	return syncPath(s.Dir)
}

// syncPath syncs a file or a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// remove removes those of the files that there are.
func (s *DB) remove(names ...string) error {
	for _, name := range names {
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
