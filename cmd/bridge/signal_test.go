package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
)

// stalled is a client in the middle of its body, which shutdown waits for.
func (s *serving) stalled(t *testing.T, token string) net.Conn {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Intake, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = conn.Write([]byte("POST /currents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue", "it is being read")
	return conn
}

func (s *serving) closed(t *testing.T) {
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.Intake, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, time.Minute, 5*time.Millisecond)
}

// endWith signals the bridge until it has ended, since what comes soon after the
// first signal counts as the same one.
func (s *serving) endWith(signal os.Signal) int {
	for {
		_ = s.Cmd.Process.Signal(signal) // it may just have ended
		select {
		case <-s.Gone:
			return s.end()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A second signal does not wait, and what was acknowledged is there at the next
// start all the same.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	args := []string{"--braze-token", "s3cret", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk", "--data-dir", t.TempDir(), "--grace", "1h"}
	s := serve(t, nil, args...)
	const batches = 20
	for i := range batches {
		s.post(t, fmt.Sprintf(`{"events":[{"id":"%d","event_type":"t","user":{"user_id":"u"}}]}`, i))
	}
	s.stalled(t, "s3cret")
	s.signal(t, syscall.SIGTERM)
	s.closed(t)
	require.Equal(t, 128+int(syscall.SIGTERM), s.endWith(syscall.SIGTERM), "it does not wait for the grace")

	again := serve(t, nil, args...)
	stdout, _ := runBridge(t, nil, 0, "status", "--admin", again.Admin, "--json")
	require.Contains(t, stdout, fmt.Sprintf(`"accepted":%d,"filtered":0,"delivered":0,"dead":0,"purged":0,"pending":%d,`, batches, batches))
}

func TestHangupReloads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "bridge.yaml")
	write := func(name, text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	good := "connectors:\n  - {name: a, token_file: " + token + ", rudder_url: " + rudderStack(t).URL + ", write_key: k}\n"
	write(token, "s3cret-1\n")
	write(file, good)
	s := serve(t, nil, "--config", file, "--data-dir", filepath.Join(dir, "data"))
	require.Equal(t, 200, s.try(t, "/currents/a", "s3cret-1", twoEvents))

	// Rotating a token: both are taken for a while.
	write(token, "s3cret-1\ns3cret-2\n")
	s.signal(t, syscall.SIGHUP)
	s.logged(t, `msg="connector is changed" connector=a settings=tokens`)
	s.logged(t, `msg="configuration is reloaded"`)
	require.Equal(t, 200, s.try(t, "/currents/a", "s3cret-1", twoEvents))
	require.Equal(t, 200, s.try(t, "/currents/a", "s3cret-2", twoEvents))

	// A bad file is refused with every mistake, and the old one stays.
	write(file, "max_body: huge\n"+strings.Replace(good, "write_key: k", "writekey: k", 1))
	s.signal(t, syscall.SIGHUP)
	s.logged(t, "the old one stays in force")
	for _, mistake := range []string{file + ":1: max_body: must be a size", file + ":3: connectors[0].write_key: is missing", file + ":3: connectors[0].writekey: is not known"} {
		s.logged(t, mistake)
	}
	require.Equal(t, 200, s.try(t, "/currents/a", "s3cret-2", twoEvents))

	// A token that cannot be read is a mistake too.
	write(file, good)
	require.NoError(t, os.Remove(token))
	s.signal(t, syscall.SIGHUP)
	s.logged(t, "there is no file "+token)
	write(token, "s3cret-2\n")
	s.signal(t, syscall.SIGHUP)
	require.Eventually(t, func() bool { return s.try(t, "/currents/a", "s3cret-1", twoEvents) == 401 }, 20*time.Second, 5*time.Millisecond)
	require.Equal(t, 200, s.try(t, "/currents/a", "s3cret-2", twoEvents))

	// At the end it is ignored, and never what ends the process.
	client := s.stalled(t, "s3cret-2")
	s.signal(t, syscall.SIGTERM)
	s.closed(t)
	s.signal(t, syscall.SIGHUP)
	s.logged(t, "stopping")
	require.NoError(t, client.Close())
	require.NotEqual(t, -1, s.end(), "a signal ended it")
	require.Zero(t, s.Cmd.ProcessState.ExitCode(), s.output(t))
	require.NotContains(t, s.output(t), "s3cret")
}

// A SIGHUP that comes while the bridge still reads its configuration does not end
// it, and is honoured as soon as it answers: what it reads then is newer. While a reload
// reads, requests go on, and a signal still ends the bridge. The configuration is a pipe,
// so that the test knows when it is read.
func TestHangupDuringTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "bridge.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	write := func(token string, before func()) {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the bridge to read
		require.NoError(t, err)
		before()
		_, err = fmt.Fprintf(f, "connectors:\n  - {name: a, token: %s, rudder_url: http://127.0.0.1:1, write_key: k}\n", token)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	s := starting(t, nil, "--config", pipe, "--data-dir", filepath.Join(dir, "data"))
	write("old", func() { s.signal(t, syscall.SIGHUP) })
	require.NoError(t, s.AwaitReady(t.Context()))
	write("new", func() {})
	s.logged(t, `msg="reloading, because of SIGHUP"`)
	s.logged(t, `msg="configuration is reloaded"`)
	require.Equal(t, 401, s.try(t, "/currents/a", "old", twoEvents))
	s.signal(t, syscall.SIGHUP)
	twice := func() bool { return strings.Count(s.output(t), `msg="reloading, because of SIGHUP"`) == 2 }
	require.Eventually(t, twice, time.Minute, 5*time.Millisecond)
	require.Equal(t, 200, s.try(t, "/currents/a", "new", twoEvents))
	s.signal(t, syscall.SIGTERM)
	require.Zero(t, s.end(), s.output(t))
	require.Contains(t, s.output(t), "msg=stopped")
}

// A reader of standard error that goes away does not end the bridge.
func TestTheReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd := command(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", t.TempDir(),
		"--braze-token", "s3cret", "--rudder-url", "http://127.0.0.1:1", "--write-key", "wk")
	cmd.Stderr = writer
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	s := &serving{Process: &bridgeproc.Process{Cmd: cmd}}
	_, err = fmt.Fscanf(out, "ready: listen=%s admin=%s", &s.Intake, &s.Admin)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	for range 3 {
		require.Equal(t, 401, s.try(t, "/currents", "wrong", twoEvents), "which is logged")
		s.signal(t, syscall.SIGHUP) // as is this
		require.Equal(t, 200, s.try(t, "/currents", "s3cret", twoEvents))
	}
	s.signal(t, syscall.SIGTERM)
	require.NoError(t, cmd.Wait())
}
