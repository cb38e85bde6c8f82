package main

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialTime is how long one target may take to take a connection.
const dialTime = 2 * time.Second

// stats count connections, but for Dropped.
type stats struct {
	Accepted int64 `json:"accepted"`
	Open     int64 `json:"open"`
	// Refused went nowhere: no target took them.
	Refused  int64 `json:"refused"`
	Reset    int64 `json:"reset"`
	Silenced int64 `json:"silenced"`
	// Unanswered ended after something was passed on to the target and before
	// anything of an answer was passed back.
	Unanswered int64 `json:"unanswered"`
	// Slowed counts pieces of data that came late or bit by bit.
	Slowed int64 `json:"slowed"`
	// Dropped counts packets.
	Dropped uint64 `json:"dropped"`
}

// proxy takes connections and passes on what comes.
type proxy struct {
	targets []string
	next    atomic.Uint64 // target's turn
	rule    inForce
	running sync.WaitGroup

	mu    sync.Mutex
	open  map[*link]struct{}
	stats stats
}

func newProxy(targets []string) *proxy {
	return &proxy{targets: targets, open: map[*link]struct{}{}}
}

// accept serves until the listener is closed.
func (p *proxy) accept(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		p.count(func(s *stats) { s.Accepted++ })
		p.running.Go(func() { p.serve(conn) })
	}
}

func (p *proxy) serve(client net.Conn) {
	server, err := p.dial()
	if err != nil {
		p.count(func(s *stats) { s.Refused++ })
		_ = client.Close() // nobody is there to talk to
		return
	}
	l := &link{proxy: p, client: client, server: server}
	p.mu.Lock()
	p.open[l] = struct{}{}
	p.mu.Unlock()
	l.run()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
	if l.due.Load() {
		p.stats.Unanswered++
	}
}

// dial connects to the target whose turn it is, or the next that answers.
func (p *proxy) dial() (net.Conn, error) {
	turn := p.next.Add(1)
	var failed error
	for i := range len(p.targets) {
		target := p.targets[(turn+uint64(i))%uint64(len(p.targets))]
		conn, err := net.DialTimeout("tcp", target, dialTime)
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func (p *proxy) count(change func(*stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.stats)
}

func (p *proxy) now() stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Open = int64(len(p.open))
	return s
}

// reset resets every connection.
func (p *proxy) reset() {
	p.mu.Lock()
	links := make([]*link, 0, len(p.open))
	for l := range p.open {
		links = append(links, l)
	}
	p.mu.Unlock()
	for l := range slices.Values(links) {
		l.reset()
	}
}

func (p *proxy) close() {
	p.reset()
	p.running.Wait()
}
