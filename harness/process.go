package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
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

// process is a bridge that can be killed and started again on the same data.
type process struct {
	path, config string
	listen       string // address that Braze posts to
	admin        string
	logPath      string

	mu      sync.Mutex
	running *bridgeproc.Process // nil before the first start
}

// newProcess is a bridge with its configuration, data and log in dir.
func newProcess(program, dir, listen, admin, configuration string) (*process, error) {
	p := &process{
		path: program, listen: listen, admin: admin,
		config: filepath.Join(dir, "bridge.yaml"), logPath: filepath.Join(dir, "bridge.log"),
	}
	if err := os.WriteFile(p.config, []byte(configuration), 0o600); err != nil {
		return nil, fmt.Errorf("write the bridge's configuration: %w", err)
	}
	return p, nil
}

// newBridge is the bridge of a run, on free ports, which delivers to the URL rudder.
func (c Config) newBridge(program, dir, rudder string) (*process, error) {
	ports, err := bridgeproc.FreePorts(2)
	if err != nil {
		return nil, err
	}
	listen, admin := ports[0], ports[1]
	return newProcess(program, dir, listen, admin, c.bridgeFile(listen, admin, filepath.Join(dir, "data"), rudder))
}

// start runs the bridge and waits until it is ready.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	running, err := bridgeproc.Start(p.path, p.logPath, nil, "serve", "--config", p.config)
	if err != nil {
		return err
	}
	p.running = running
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return running.AwaitReady(ctx)
}

func (p *process) adminURL() string { return "http://" + p.admin }

// gone says whether the bridge has ended by itself. It is false while the bridge is
// being started or stopped.
func (p *process) gone() bool {
	if !p.mu.TryLock() {
		return false
	}
	defer p.mu.Unlock()
	select {
	case <-p.running.Gone:
		return true
	default:
		return false
	}
}

// kill ends the bridge with SIGKILL and waits until it is gone.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running.Kill()
}

// stop asks the bridge to end and waits for it; a bridge that does not end by
// itself, or not with exit code 0, is an error. One that was never started is left
// alone.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return p.running.Stop(ctx)
}
