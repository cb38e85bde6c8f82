package mockrudder

import "time"

// rateSeconds is how far back the counts by second go.
const rateSeconds = 600

// second is what happened within one second.
type second struct {
	At       int64  `json:"at"` // Unix time
	Stored   uint64 `json:"stored"`
	Valid    uint64 `json:"valid"`
	Invalid  uint64 `json:"invalid"`
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"` // of the requests: answered 4XX or 5XX, or not at all
}

// rates counts by second, in a circle.
type rates struct{ ring [rateSeconds]second }

// at returns the counts of the second that a time is in.
func (r *rates) at(now time.Time) *second {
	unix := now.Unix()
	s := &r.ring[uint64(unix)%rateSeconds]
	if s.At != unix {
		*s = second{At: unix}
	}
	return s
}

func (r *rates) count(e *Event) {
	s := r.at(e.ReceivedAt)
	s.Stored++
	switch {
	case !e.Judged:
	case e.Valid:
		s.Valid++
	default:
		s.Invalid++
	}
}

func (r *rates) answered(now time.Time, status int) {
	s := r.at(now)
	s.Requests++
	if status == 0 || status >= 400 {
		s.Refused++
	}
}

// last returns the last n seconds, the one that runs included, oldest first.
// One in which nothing happened is there with zeros.
func (r *rates) last(now time.Time, n int) []second {
	list := make([]second, 0, n)
	for unix := now.Unix() - int64(n) + 1; unix <= now.Unix(); unix++ {
		s := r.ring[uint64(unix)%rateSeconds]
		if s.At != unix {
			s = second{At: unix}
		}
		list = append(list, s)
	}
	return list
}
