package bridgeproc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
)

// FreePort returns a loopback address on which nothing listens now. It is taken
// from below the range that systems use for outgoing connections: while the bridge
// is down, one of those could otherwise take the bridge's port, or even connect to
// itself. It is tried by connecting: a listener that is opened and closed stays open
// in a process that is started at that moment, until its program begins.
func FreePort() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return address, nil
		}
		if err == nil {
			conn.Close()
		}
	}
	return "", errors.New("no free port was found")
}
