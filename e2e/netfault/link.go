package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pieceSize = 16 << 10
	// inTransit is how many pieces are under way at once, each way; who sends
	// more waits, as with a full window of TCP.
	inTransit = 64
)

// link is one connection with both its ends.
type link struct {
	proxy          *proxy
	client, server net.Conn

	due    atomic.Bool // an answer is
	left   atomic.Bool // the client does not send any more, and so has gone
	silent atomic.Bool // nothing passes any more
	once   sync.Once
}

// run passes on until both ways have ended.
func (l *link) run() {
	var ways sync.WaitGroup
	ways.Go(func() { l.pass(l.client, l.server, true) })
	ways.Go(func() { l.pass(l.server, l.client, false) })
	ways.Wait()
	l.end(false)
}

// reset ends both ends at once, as if the other side had said so.
func (l *link) reset() { l.end(true) }

func (l *link) end(reset bool) {
	l.once.Do(func() {
		if reset {
			l.proxy.count(func(s *stats) { s.Reset++ })
		}
		for _, conn := range []net.Conn{l.client, l.server} {
			if tcp, ok := conn.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0) // close with RST
			}
			_ = conn.Close() // that it ends is the point
		}
	})
}

// piece is data under way.
type piece struct {
	data []byte
	due  time.Time
	slow bool
}

// pass carries data one way until its end.
func (l *link) pass(from, to net.Conn, up bool) {
	way := make(chan piece, inTransit)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(way)
		l.read(from, way, up)
		if up {
			l.left.Store(true)
		}
	})
	l.write(to, way, up)
	for range way { // lets the reader go on to its end
	}
	reader.Wait()
}

// read takes what comes and says when it is to arrive.
func (l *link) read(from net.Conn, way chan<- piece, up bool) {
	var last time.Time
	for {
		buf := make([]byte, pieceSize)
		n, err := from.Read(buf)
		if n > 0 {
			r := l.proxy.rule.get()
			delay := r.delay()
			due := time.Now().Add(delay)
			if due.Before(last) { // nothing overtakes
				due = last
			}
			last = due
			way <- piece{buf[:n], due, delay > 0 || r.BytesPerSecond > 0}
		}
		if err != nil {
			// The one side has left. What it has asked for may never be answered,
			// so the other side is told now.
			if l.silent.Load() || up && l.due.Load() {
				l.end(false)
			}
			return
		}
	}
}

// write lets each piece arrive, and closes the way behind the last.
func (l *link) write(to net.Conn, way <-chan piece, up bool) {
	for p := range way {
		time.Sleep(time.Until(p.due))
		r := l.proxy.rule.get()
		time.Sleep(r.passing(len(p.data)))
		if p.slow {
			l.proxy.count(func(s *stats) { s.Slowed++ })
		}
		if r.resets() {
			l.reset()
			return
		}
		if r.silences(up) && !l.silent.Swap(true) {
			l.proxy.count(func(s *stats) { s.Silenced++ })
		}
		if l.silent.Load() {
			continue
		}
		if up {
			l.due.Store(true) // before it can be there
		}
		if _, err := to.Write(p.data); err != nil {
			l.end(false)
			return
		}
		if !up && !l.left.Load() {
			l.due.Store(false)
		}
	}
	if l.silent.Load() {
		return
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails only where it is closed already
	}
}
