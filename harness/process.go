package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Times for the bridge's process.
const (
	readyTime = 60 * time.Second // from start to ready, a long recovery included
	stopTime  = 30 * time.Second // from SIGTERM to the end
	askEvery  = 20 * time.Millisecond
)

// ErrNoBridge means that the bridge's program was not found.
var ErrNoBridge = errors.New("the bridge's program was not found")

// findBridge returns the path of the bridge's program: the one given, or
// `bridge` beside the running program. The error says how to build it.
func findBridge(given string) (string, error) {
	path := given
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoBridge, err)
		}
		path = filepath.Join(filepath.Dir(self), "bridge")
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("%w: %s (build it with `make build`, or say where it is with --bridge PATH)", ErrNoBridge, path)
	}
	return filepath.Abs(found)
}

// process is a bridge that runs as a process of its own, so that it can be
// killed and started again on the same data.
type process struct {
	path, config string
	listen       string // address that Braze posts to
	admin        string
	logPath      string
	client       *http.Client

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // closed when command has ended
	endErr  error
}

// start runs the bridge and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start the bridge: %w", err)
	}
	defer log.Close() // the process has its own handle
	command := exec.Command(p.path, "serve", "--config", p.config)
	command.Env = plainEnvironment()
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the bridge: %w", err)
	}
	p.command, p.ended = command, make(chan struct{})
	go func(ended chan struct{}) {
		p.endErr = command.Wait()
		close(ended)
	}(p.ended)
	return p.awaitReady(ctx)
}

// plainEnvironment is ours without the settings of a bridge: only the
// configuration file counts.
func plainEnvironment() []string {
	var out []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BRIDGE_") {
			out = append(out, pair)
		}
	}
	return out
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		if p.ready(ctx) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the bridge ended before it was ready (%v); it said:\n%s", p.endErr, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("the bridge is not ready: %w; it said:\n%s", ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
}

func (p *process) adminURL() string { return "http://" + p.admin }

func (p *process) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.adminURL()+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := p.client.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// gone says whether the bridge has ended and nobody is starting or ending it.
func (p *process) gone() bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the bridge with SIGKILL and waits until it is gone.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.command.Process.Kill(); err != nil {
		return fmt.Errorf("kill the bridge: %w", err)
	}
	<-p.ended
	return nil
}

// stop asks the bridge to end and waits for it; a bridge that does not end by
// itself, or not with exit code 0, is an error. One that was never started or
// has ended is left alone.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return nil
	}
	select {
	case <-p.ended:
		return p.ending()
	default:
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the bridge: %w", err)
	}
	late := time.NewTimer(stopTime)
	defer late.Stop()
	select {
	case <-p.ended:
		return p.ending()
	case <-late.C:
		_ = p.command.Process.Kill() // it had its chance; the error below says so
		<-p.ended
		return fmt.Errorf("the bridge did not stop within %s; it said:\n%s", stopTime, p.tail())
	}
}

func (p *process) ending() error {
	if p.endErr == nil {
		return nil
	}
	return fmt.Errorf("the bridge ended with %w; it said:\n%s", p.endErr, p.tail())
}

// tail is the end of the bridge's log.
func (p *process) tail() string {
	const lines = 12
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freePort returns a loopback address that is free now. It is taken from below
// the range that systems use for outgoing connections: while the bridge is
// down, one of those could otherwise take the bridge's port, or even connect to
// itself.
func freePort() (string, error) {
	var failed error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		ln, err := net.Listen("tcp", address)
		if err != nil {
			failed = err
			continue
		}
		return address, ln.Close()
	}
	return "", fmt.Errorf("find a free port: %w", failed)
}
