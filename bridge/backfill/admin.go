package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// Bridge returns a Store that hands batches to a running bridge, over its admin
// side.
func Bridge(api jsoncall.API, connector string) Store {
	path := "/api/backfill?" + url.Values{"connector": {connector}}.Encode()
	return func(ctx context.Context, body []byte) (r queue.Receipt, err error) {
		err = api.Do(ctx, http.MethodPost, path, json.RawMessage(body), &r)
		var answer *jsoncall.StatusError
		switch away := (*url.Error)(nil); {
		case errors.As(err, &away):
			return r, fmt.Errorf("%w: no bridge answers on %s (--admin says where): %w", ErrAway, api.Base, away.Err)
		case !errors.As(err, &answer):
		case answer.Status == http.StatusServiceUnavailable:
			return r, fmt.Errorf("%w: %w", ErrLater, err)
		case answer.Status == http.StatusRequestEntityTooLarge:
			return r, fmt.Errorf("%w: %w", ErrTooLarge, err)
		}
		return r, err
	}
}
