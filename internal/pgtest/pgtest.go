// Package pgtest starts PostgreSQL for tests, from the binaries that are
// installed, in a directory of its own.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
)

// Server is a PostgreSQL server on loopback. It ends with its test.
type Server struct {
	address   string
	dir       string // its data directory
	bin       string
	process   *exec.Cmd
	databases atomic.Int64
}

// Start starts a server with these settings, such as "fsync=off". Where
// PostgreSQL is not installed the test is skipped with a line that says so, or
// fails where CI is set. The server does not run as root: then it runs as the
// user postgres.
func Start(t *testing.T, settings ...string) *Server {
	t.Helper()
	bin := binaries()
	if bin == "" {
		const missing = "PostgreSQL is not installed: install the package postgresql"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip("SKIPPED: " + missing)
	}
	dir, err := os.MkdirTemp("", "pgtest")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	free, err := bridgeproc.FreePorts(1)
	require.NoError(t, err)
	s := &Server{bin: bin, dir: filepath.Join(dir, "data"), address: free[0]}
	if os.Getuid() == 0 {
		uid, gid := owner(t)
		require.NoError(t, os.Chown(dir, uid, gid))
	}
	out, err := s.command(t, "initdb", "-D", s.dir, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C").CombinedOutput()
	require.NoError(t, err, "initdb: %s", out)
	s.Run(t, settings...)
	t.Cleanup(func() { s.Stop(syscall.SIGINT) })
	return s
}

// binaries finds the directory of initdb and postgres.
func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(found))
}

func owner(t *testing.T) (uid, gid int) {
	u, err := user.Lookup("postgres")
	require.NoError(t, err, "the server does not run as root, and there is no user postgres")
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}

func (s *Server) command(t *testing.T, name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = filepath.Dir(s.dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		uid, gid := owner(t)
		c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return c
}

// Run starts the server again after Stop, and waits until it answers.
func (s *Server) Run(t *testing.T, settings ...string) {
	t.Helper()
	args := []string{"-D", s.dir, "-p", strings.TrimPrefix(s.address, "127.0.0.1:"), "-h", "127.0.0.1", "-k", filepath.Dir(s.dir)}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	s.process = s.command(t, "postgres", args...)
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	require.NoError(t, s.process.Start())
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err == nil {
			conn.Close(context.Background())
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.dir + ".log")
			t.Fatalf("PostgreSQL does not answer: %v\n%s", err, text)
		}
	}
}

// Stop ends the server and all of its processes with a signal: SIGINT in order,
// SIGQUIT as a crash, after which the next start recovers from the log.
func (s *Server) Stop(signal syscall.Signal) {
	if s.process != nil {
		_ = s.process.Process.Signal(signal)
		_ = s.process.Wait()
		s.process = nil
	}
}

// URL names a database of the server.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", s.address, database)
}

// Database makes a new database and returns its URL.
func (s *Server) Database(t *testing.T) string {
	name := fmt.Sprint("test", s.databases.Add(1))
	conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	return s.URL(name)
}
