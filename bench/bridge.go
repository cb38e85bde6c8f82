package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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

// cpu is what the process has used so far, user and system (proc(5), stat).
func (b *bridge) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.Cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("CPU is read from /proc, which needs Linux: %w", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const user, system = 11, 12    // counted from the field after the name
	const tick = time.Second / 100 // USER_HZ
	var sum time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// peak is the most memory that was resident, in bytes.
func (b *bridge) peak() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("/proc has no VmHWM")
	}
	kilobytes, err := strconv.Atoi(fields[0])
	return kilobytes << 10, err
}
