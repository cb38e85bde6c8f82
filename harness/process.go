package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
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

// process is a bridge that can be killed and started again on the same data, with its
// configuration, data and log in dir.
type process struct {
	program, dir  string
	listen, admin string // addresses

	running atomic.Pointer[bridgeproc.Process] // nil before the first start
}

func newProcess(program, dir string) (*process, error) {
	ports, err := bridgeproc.FreePorts(2)
	if err != nil {
		return nil, err
	}
	return &process{program: program, dir: dir, listen: ports[0], admin: ports[1]}, nil
}

// start runs the bridge with these settings beside its addresses and its directory, and
// waits until it is ready.
func (p *process) start(ctx context.Context, settings string) error {
	file := filepath.Join(p.dir, "bridge.yaml")
	text := fmt.Appendf(nil, "listen: %q\nadmin: %q\ndata_dir: %q\n%s", p.listen, p.admin, filepath.Join(p.dir, "data"), settings)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write the bridge's configuration: %w", err)
	}
	running, err := bridgeproc.Start(p.program, p.logPath(), nil, "serve", "--config", file)
	if err != nil {
		return err
	}
	p.running.Store(running)
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a long recovery included
	defer cancel()
	return running.AwaitReady(ctx)
}

func (p *process) logPath() string { return filepath.Join(p.dir, "bridge.log") }

func (p *process) adminURL() string { return "http://" + p.admin }

func (p *process) gone() bool {
	select {
	case <-p.running.Load().Gone:
		return true
	default:
		return false
	}
}

// stop asks the bridge to end and waits for it; a bridge that does not end by
// itself, or not with exit code 0, is an error. One that was never started is left
// alone.
func (p *process) stop() error {
	running := p.running.Load()
	if running == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return running.Stop(ctx)
}

func await(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
