package main

import (
	"context"

	"github.com/prometheus/procfs"

	"github.com/currentsbridge/currentsbridge/internal/bridgeproc"
)

// bridge is the real program as a process of its own.
type bridge struct{ *bridgeproc.Process }

const token = "bench"

// startBridge runs the program with its data in dir, delivering to sink.
func startBridge(ctx context.Context, s settings, dir, sink string) (*bridge, error) {
	p, err := bridgeproc.Start(s.bridge, "", nil, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--data-dir", dir, "--queue", s.queue, "--mode", s.mode,
		"--braze-token", token, "--rudder-url", sink, "--write-key", "wk", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	if err := p.AwaitReady(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return &bridge{p}, nil
}

// used is the CPU that the process has used so far, user and system, in seconds, and the
// most memory that was resident, in bytes. It is read from /proc, which needs Linux.
func (b *bridge) used() (cpu float64, peak uint64, err error) {
	proc, err := procfs.NewProc(b.Cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0, 0, err
	}
	status, err := proc.NewStatus()
	return stat.CPUTime(), status.VmHWM, err
}
