package bridgeproc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// FreePorts returns n different loopback addresses on which nothing listens now. They
// are taken from below the range that systems use for outgoing connections: while the
// bridge is down, one of those could otherwise take the bridge's port, or even connect
// to itself. They are tried by connecting: a listener that is opened and closed stays
// open in a process that is started at that moment, until its program begins.
func FreePorts(n int) ([]string, error) {
	const first, ports = 12_000, 18_000
	var free []string
	for _, port := range rand.Perm(ports)[:100+n] {
		if len(free) == n {
			break
		}
		address := fmt.Sprintf("127.0.0.1:%d", first+port)
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			free = append(free, address)
		}
		if err == nil {
			conn.Close()
		}
	}
	if len(free) < n {
		return nil, errors.New("no free port was found")
	}
	return free, nil
}
