package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// Ledger is what the bridge says of one connector at /status. All counts are
// events over the lifetime of its store.
type Ledger struct {
	Name        string `json:"name"`
	Received    int64  `json:"received"`
	Duplicates  int64  `json:"duplicates"`
	Accepted    int64  `json:"accepted"`
	Filtered    int64  `json:"filtered"`
	Delivered   int64  `json:"delivered"`
	Dead        int64  `json:"dead"`
	Purged      int64  `json:"purged"`
	Pending     int64  `json:"pending"`
	Replayed    int64  `json:"replayed"`
	Backfilled  int64  `json:"backfilled"` // of the accepted, those that came from storage
	Destination struct {
		State     string `json:"state"`
		LastError string `json:"last_error"`
	} `json:"destination"`
}

// Check returns an error where the sums that must hold at every moment do not:
// received = duplicates + accepted, and
// accepted = filtered + delivered + dead + purged + pending.
func (l Ledger) Check() error {
	if l.Received != l.Duplicates+l.Accepted {
		return fmt.Errorf("the bridge's ledger does not add up: received %d is not duplicates %d + accepted %d",
			l.Received, l.Duplicates, l.Accepted)
	}
	if l.Accepted != l.Filtered+l.Delivered+l.Dead+l.Purged+l.Pending {
		return fmt.Errorf("the bridge's ledger does not add up: accepted %d is not filtered %d + delivered %d + dead %d + purged %d + pending %d",
			l.Accepted, l.Filtered, l.Delivered, l.Dead, l.Purged, l.Pending)
	}
	return nil
}

// ReadLedger asks a bridge for the ledger of one of its connectors. admin is the
// URL of its admin side, such as http://127.0.0.1:9090; several bridges on one
// queue show sums. It waits 30 seconds at most.
func ReadLedger(ctx context.Context, admin, connector string) (Ledger, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var status struct{ Connectors []Ledger }
	if err := jsoncall.Do(ctx, http.MethodGet, admin+"/status", nil, &status); err != nil {
		return Ledger{}, fmt.Errorf("ask the bridge: %w", err)
	}
	for _, l := range status.Connectors {
		if l.Name == connector {
			return l, nil
		}
	}
	return Ledger{}, fmt.Errorf("the bridge's status has no connector %q", connector)
}

type letter struct {
	Reason string          `json:"reason"`
	Event  json.RawMessage `json:"event"`
}

// readLetters passes each dead letter of a connector to use, a page at a time.
func readLetters(ctx context.Context, admin, connector string, use func(letter)) error {
	for after := uint64(0); ; {
		var page struct {
			Dead []letter
			Next uint64
		}
		at := fmt.Sprintf("%s/api/dead?connector=%s&limit=1000&after=%d", admin, connector, after)
		if err := jsoncall.Do(ctx, http.MethodGet, at, nil, &page); err != nil {
			return fmt.Errorf("ask the bridge: %w", err)
		}
		for _, l := range page.Dead {
			use(l)
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}
