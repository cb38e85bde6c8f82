package harness

import (
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// snapshot is the state of a run at one moment.
type snapshot struct {
	acked, delivered, awaited, total int64
	faults                           map[string]int
	crashes                          int
	elapsed                          time.Duration
}

// line says how far a run is; the rate is that since the snapshot before.
func (now snapshot) line(before snapshot) string {
	rate := 0.0
	if seconds := (now.elapsed - before.elapsed).Seconds(); seconds > 0 {
		rate = float64(now.delivered-before.delivered) / seconds
	}
	line := fmt.Sprintf("acked %s of %s · delivered %s · %s/s · left %s",
		progress.Grouped(now.acked), progress.Grouped(now.total), progress.Grouped(now.delivered), progress.Grouped(int64(rate)),
		progress.Grouped(max(0, now.awaited-now.delivered)+now.total-now.acked))
	if kinds, total := faultCount(now.faults); total > 0 {
		line += fmt.Sprintf(" · faults %d (%d kinds)", total, kinds)
	}
	if now.crashes > 0 {
		line += fmt.Sprintf(" · kills %d", now.crashes)
	}
	return line
}

// faultCount sums up what faultText lists; a terminal's line has no room for more.
func faultCount(faults map[string]int) (kinds, total int) {
	for _, n := range faults {
		if n > 0 {
			kinds++
			total += n
		}
	}
	return kinds, total
}
