// Package memnet is a network within the process. Connections are pipes, which
// block on channels only, so that the fake clock of testing/synctest advances.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts what Dial connects. Make it with Listen.
type Listener struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen makes a Listener.
func Listen() *Listener {
	return &Listener{dialled: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a Dial.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and all calls of Dial.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is that of a loopback connection.
func (l *Listener) Addr() net.Addr { return loopback() }

// Dial connects to the listener, whatever the address.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.dialled <- conn{there}:
		return conn{here}, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// conn is a pipe whose ends have loopback addresses, as TCP connections have.
type conn struct{ net.Conn }

func (conn) LocalAddr() net.Addr  { return loopback() }
func (conn) RemoteAddr() net.Addr { return loopback() }

func loopback() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
