// Package memory is a network of its own within the process.
package memory

import (
	"context"
	"net"
	"sync"
)

// Listener is a listener whose connections are pipes within the process. They
// block on channels alone, which is what lets the fake time of testing/synctest
// pass.
type Listener struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Listen returns a listener without connections.
func Listen() *Listener {
	return &Listener{dialled: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a dial.
func (m *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-m.dialled:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and all dials.
func (m *Listener) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr is what a loopback connection would say.
func (m *Listener) Addr() net.Addr { return loopback() }

// Dial connects to the server, whatever the address.
func (m *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.dialled <- conn{there}:
		return conn{here}, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// conn is a pipe that calls both ends loopback, so that request_ip is
// what it would be over TCP.
type conn struct{ net.Conn }

func (conn) LocalAddr() net.Addr  { return loopback() }
func (conn) RemoteAddr() net.Addr { return loopback() }

func loopback() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
