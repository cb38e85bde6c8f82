//go:build unix

package load

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used of the CPU, in user and kernel.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails only for another who or address
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
