package cli

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// unusedFor is how long, at shutdown, a connection without a request stays open.
// Clients open connections ahead; http.Server.Shutdown waits five seconds for such
// a one.
const unusedFor = time.Second

// unused are the connections of a server that have had no request.
type unused struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// follow observes the server's connections. It is called before Serve.
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

// close closes them. Without an answer, clients know that nothing was done.
func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.conns {
		_ = c.Close()
	}
}
