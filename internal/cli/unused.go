package cli

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// unusedFor is how long a connection on which nothing was asked yet may still
// ask for something once the server is told to end. Clients open connections
// ahead and keep them; http.Server.Shutdown waits five seconds for each.
const unusedFor = time.Second

// unused are the connections of a server on which nothing was asked yet.
type unused struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// follow makes the server tell of its connections. It is called before Serve.
func (u *unused) follow(srv *http.Server) {
	u.conns = map[net.Conn]struct{}{}
	also := srv.ConnState
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		u.mu.Lock()
		if state == http.StateNew {
			u.conns[c] = struct{}{}
		} else {
			delete(u.conns, c)
		}
		u.mu.Unlock()
		if also != nil {
			also(c, state)
		}
	}
}

// close ends them. The other side has no answer, and so knows that nothing was done.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		_ = c.Close()
	}
}
