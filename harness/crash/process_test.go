package crash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/crashpoint"
	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

// program is the real bridge, built as it is shipped and with crash points.
type program struct{ plain, armed string }

// buildDir names the variable under which TestMain leaves the directory to build in.
const buildDir = "CRASH_TEST_BUILD_DIR"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "currentsbridge-crash-test-")
	if err == nil {
		err = os.Setenv(buildDir, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var buildOnce = sync.OnceValues(func() (program, error) {
	const bridge = "github.com/currentsbridge/currentsbridge/cmd/bridge"
	dir := os.Getenv(buildDir)
	plain, err := gobuild.Program(dir, bridge)
	if err != nil {
		return program{}, err
	}
	armed, err := gobuild.Program(filepath.Join(dir, "armed"), bridge, "-tags", "crashpoints")
	return program{plain: plain, armed: armed}, err
})

func build(t *testing.T) program {
	t.Helper()
	p, err := buildOnce()
	require.NoError(t, err)
	return p
}

// process is one life of the bridge.
type process struct {
	cmd           *exec.Cmd
	ready         chan struct{} // closed once it answers
	gone          chan struct{} // closed once it has ended
	intake, admin string        // set when ready
	took          time.Duration // from its start to ready
	logPath       string
}

// launch runs the bridge at path; its settings and its log go to dir. armed is
// what crashpoint.Env is set to, if anything.
func launch(path, dir, settings, armed string) (*process, error) {
	config := filepath.Join(dir, "bridge.yaml")
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	p := &process{ready: make(chan struct{}), gone: make(chan struct{}), logPath: filepath.Join(dir, "bridge.log")}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own handle
	p.cmd = exec.Command(path, "serve", "--config", config)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BRIDGE_") {
			p.cmd.Env = append(p.cmd.Env, pair)
		}
	}
	if armed != "" {
		p.cmd.Env = append(p.cmd.Env, crashpoint.Env+"="+armed)
	}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.gone)
		line, _ := bufio.NewReader(out).ReadString('\n')
		p.took = time.Since(begin)
		if p.addresses(line) {
			close(p.ready)
		}
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// addresses reads the line that the bridge prints once it answers.
func (p *process) addresses(line string) bool {
	for _, word := range strings.Fields(line) {
		if url, ok := strings.CutPrefix(word, "listen="); ok {
			p.intake = url
		}
		if url, ok := strings.CutPrefix(word, "admin="); ok {
			p.admin = url
		}
	}
	return p.intake != "" && p.admin != "" && strings.HasSuffix(line, "\n")
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// killed says whether it ended by SIGKILL; false: it was told to stop and had
// done so before. Any other end is an error. It must be gone.
func (p *process) killed(stopped bool) (bool, error) {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return true, nil
	}
	if stopped && p.cmd.ProcessState.Success() {
		return false, nil
	}
	return false, fmt.Errorf("the bridge ended by itself: %s\n%s", p.cmd.ProcessState, p.log())
}

func (p *process) log() string {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// awaitReady waits until it answers.
func (p *process) awaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.gone:
		return errors.New("the bridge ended before it was ready: " + p.log())
	case <-ctx.Done():
		return fmt.Errorf("the bridge is never ready: %w", ctx.Err())
	}
}

// stop asks it to end and waits until it has done so in good order.
func (p *process) stop(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		return fmt.Errorf("the bridge does not stop: %w", ctx.Err())
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("the bridge stopped with %s: %s", p.cmd.ProcessState, p.log())
	}
	return nil
}

// What is shipped has nothing of the crash points: no code, no name, no switch.
func TestNormalBuildHasNoCrashPoints(t *testing.T) {
	built := build(t)
	for path, there := range map[string]bool{built.plain: false, built.armed: true} {
		symbols, err := exec.Command("go", "tool", "nm", path).Output()
		require.NoError(t, err)
		require.Equal(t, there, bytes.Contains(symbols, []byte("internal/crashpoint.At")), "code in %s", path)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, name := range append(crashpoint.Points(), crashpoint.Env) {
			require.Equal(t, there, bytes.Contains(text, []byte(name)), "%s in %s", name, path)
		}
	}
}
