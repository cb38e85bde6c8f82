package bridgeproc

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePort returns a loopback address that is free now. It is taken from below
// the range that systems use for outgoing connections: while the bridge is
// down, one of those could otherwise take the bridge's port, or even connect to
// itself.
func FreePort() (string, error) {
	var failed error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(18_000))
		ln, err := net.Listen("tcp", address)
		if err != nil {
			failed = err
			continue
		}
		return address, ln.Close()
	}
	return "", fmt.Errorf("find a free port: %w", failed)
}
