// Package bridgeproc runs the bridge as a process of its own, for the harness,
// for tests that kill it, and for the benchmark.
package bridgeproc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Process is one bridge, from its start to its end.
type Process struct {
	Cmd   *exec.Cmd
	Ready chan struct{} // closed once it answers
	Gone  chan struct{} // closed once it has ended
	// Intake and Admin are URLs, set when Ready.
	Intake, Admin string
	logPath       string
}

// Start runs program with args. Of the environment it gets all but the bridge's
// own settings, and env. Its output is appended to the file at logPath; where that
// is empty it goes to standard error.
func Start(program, logPath string, env []string, args ...string) (*Process, error) {
	p := &Process{Cmd: exec.Command(program, args...), Ready: make(chan struct{}), Gone: make(chan struct{}), logPath: logPath}
	log := os.Stderr
	if logPath != "" {
		var err error
		if log, err = os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, fmt.Errorf("start the bridge: %w", err)
		}
	}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BRIDGE_") {
			p.Cmd.Env = append(p.Cmd.Env, pair)
		}
	}
	p.Cmd.Env = append(p.Cmd.Env, env...)
	p.Cmd.Stderr = log
	out, err := p.Cmd.StdoutPipe()
	if err == nil {
		err = p.Cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the bridge: %w", err)
	}
	go func() {
		defer close(p.Gone)
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n')
		_, _ = io.WriteString(log, line)
		if p.addresses(line) {
			close(p.Ready)
		}
		_, _ = io.Copy(log, lines)
		_ = p.Cmd.Wait() // its end is in ProcessState
		if logPath != "" {
			_ = log.Close()
		}
	}()
	return p, nil
}

// addresses reads the line that the bridge prints once it answers.
func (p *Process) addresses(line string) bool {
	for word := range strings.FieldsSeq(line) {
		if url, ok := strings.CutPrefix(word, "listen="); ok {
			p.Intake = url
		}
		if url, ok := strings.CutPrefix(word, "admin="); ok {
			p.Admin = url
		}
	}
	return p.Intake != "" && p.Admin != "" && strings.HasSuffix(line, "\n")
}

// AwaitReady waits until the bridge answers. It fails where the bridge or ctx ends
// before.
func (p *Process) AwaitReady(ctx context.Context) error {
	select {
	case <-p.Ready:
		return nil
	case <-p.Gone:
		return fmt.Errorf("the bridge ended before it was ready (%s); it said:\n%s", p.Cmd.ProcessState, p.Log())
	case <-ctx.Done():
		return fmt.Errorf("the bridge is not ready: %w; it said:\n%s", ctx.Err(), p.Log())
	}
}

// Kill ends the bridge with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // fails only where it has ended
	<-p.Gone
}

// Stop asks the bridge to end and waits for it. A bridge that has not ended with
// ctx is killed; that, and any end but with exit code 0, is an error.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the bridge: %w", err)
	}
	select {
	case <-p.Gone:
		return p.Ending()
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("the bridge did not stop in time: %w; it said:\n%s", ctx.Err(), p.Log())
	}
}

// Ending is how a bridge that is Gone ended: nil where its exit code is 0.
func (p *Process) Ending() error {
	if p.Cmd.ProcessState.Success() {
		return nil
	}
	return fmt.Errorf("the bridge ended with %s; it said:\n%s", p.Cmd.ProcessState, p.Log())
}

// Log is the end of what the bridge said.
func (p *Process) Log() string {
	const end = 2000
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-end):]))
}

// FreePorts returns n different loopback addresses on which nothing listens now. They
// are taken from below the range that systems use for outgoing connections: while the
// bridge is down, one of those could otherwise take the bridge's port, or even connect
// to itself. They are tried by connecting: a listener that is opened and closed stays
// open in a process that is started at that moment, until its program begins.
func FreePorts(n int) ([]string, error) {
	const first, ports = 12_000, 18_000
	var free []string
	for _, port := range rand.Perm(ports)[:100+n] {
		if len(free) == n {
			break
		}
		address := fmt.Sprintf("127.0.0.1:%d", first+port)
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			free = append(free, address)
		}
		if err == nil {
			conn.Close()
		}
	}
	if len(free) < n {
		return nil, errors.New("no free port was found")
	}
	return free, nil
}
