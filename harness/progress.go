package harness

import (
	"fmt"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/progress"
)

// line says how far the run is; the rate is that since the line before.
func (r *run) line(now time.Time) string {
	acked, awaited, delivered := r.books.Progress()
	total := int64(r.config.Events)
	rate := float64(delivered-r.shown) / max(now.Sub(r.shownAt).Seconds(), 1e-3)
	r.shown, r.shownAt = delivered, now
	text := fmt.Sprintf("acked %s of %s · delivered %s · %s/s · left %s",
		progress.Grouped(acked), progress.Grouped(total), progress.Grouped(delivered), progress.Grouped(int64(rate)),
		progress.Grouped(max(0, awaited-delivered)+total-acked))
	if faults := r.schedule.happened(); len(faults) > 0 {
		sum := 0
		for _, n := range faults {
			sum += n
		}
		text += fmt.Sprintf(" · faults %d (%d kinds)", sum, len(faults))
	}
	if kills := r.killCount(); kills > 0 {
		text += fmt.Sprintf(" · kills %d", kills)
	}
	return text
}
