package mockrudder

import (
	"context"
	"net"
	"sync"
)

// memoryURL is where a server without a port seems to be. The name is reserved
// (RFC 2606), so that a client that is not the server's own finds nothing.
const memoryURL = "http://rudder.test"

// memory is a listener whose connections are pipes within the process. They
// block on channels alone, which is what lets the fake time of testing/synctest
// pass.
type memory struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newMemory() *memory {
	return &memory{dialled: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a dial.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case conn := <-m.dialled:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and all dials.
func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr is what a loopback connection would say.
func (m *memory) Addr() net.Addr { return loopback() }

// dial connects to the server, whatever the address.
func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case m.dialled <- memoryConn{there}:
		return memoryConn{here}, nil
	case <-m.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// memoryConn is a pipe that calls both ends loopback, so that request_ip is
// what it would be over TCP.
type memoryConn struct{ net.Conn }

func (memoryConn) LocalAddr() net.Addr  { return loopback() }
func (memoryConn) RemoteAddr() net.Addr { return loopback() }

func loopback() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
