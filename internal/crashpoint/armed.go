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

// The point at which this process ends, and at which pass; empty: it does not end by
// itself. They are read once, before anything can pass a point.
var (
	armed, last = fromEnv(os.Getenv(Env))
	passes      atomic.Int64
)

// fromEnv reads NAME:COUNT. A name that does not exist panics, so that no test passes
// because of a typo.
func fromEnv(text string) (point string, pass int64) {
	if text == "" {
		return "", 0
	}
	point, count, _ := strings.Cut(text, ":")
	pass, err := strconv.ParseInt(count, 10, 64)
	if err != nil || pass < 1 || !slices.Contains(Points(), point) {
		panic(fmt.Sprintf("%s=%s: must be the name of a point, a colon and a number from 1", Env, text))
	}
	return point, pass
}

// At marks a point. It ends the process where the environment says so: with
// SIGKILL, so that nothing is flushed, closed or deferred, and it never returns.
func At(point string) {
	if armed != point || passes.Add(1) != last {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment; nothing may happen in it
}
