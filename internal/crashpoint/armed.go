//go:build crashpoints && unix

package crashpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// armedPoint is the one point at which this process ends.
type armedPoint struct {
	point string
	left  atomic.Int64 // passes until then
}

// armed is set from the environment once, before anything can pass a point.
var armed = fromEnv(os.Getenv(Env))

// fromEnv reads NAME:COUNT; nil: the process does not end by itself. A name that
// does not exist panics, so that no test passes because of a typo.
func fromEnv(text string) *armedPoint {
	if text == "" {
		return nil
	}
	name, count, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 || !slices.Contains(Points(), name) {
		panic(fmt.Sprintf("%s=%s: must be the name of a point, a colon and a number from 1", Env, text))
	}
	p := &armedPoint{point: name}
	p.left.Store(n)
	return p
}

// At marks a point. It ends the process where the environment says so: with
// SIGKILL, so that nothing is flushed, closed or deferred, and it never returns.
func At(point string) {
	if armed == nil || armed.point != point || armed.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment; nothing may happen in it
}
