package backfill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
)

// Bridge returns a Store that hands batches to a running bridge, over its admin
// side at a URL such as http://127.0.0.1:9090. The token may be empty.
func Bridge(base, token, connector string) Store {
	target := base + "/api/backfill?" + url.Values{"connector": {connector}}.Encode()
	return func(ctx context.Context, body []byte) (r queue.Receipt, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
		if err != nil {
			return r, err
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return r, fmt.Errorf("%w: no bridge answers on %s (--admin says where): %w", ErrAway, base, err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return r, fmt.Errorf("%w: the bridge's answer: %w", ErrAway, err)
		}
		if resp.StatusCode == http.StatusOK {
			if err := json.Unmarshal(text, &r); err != nil {
				return r, fmt.Errorf("the answer is not understood, is that a bridge's admin address? %w", err)
			}
			return r, nil
		}
		var said struct{ Error string }
		if json.Unmarshal(text, &said) != nil || said.Error == "" {
			said.Error = "is that a bridge's admin address?"
		}
		switch err := fmt.Errorf("the bridge answered %s: %q", resp.Status, said.Error); resp.StatusCode {
		case http.StatusServiceUnavailable:
			return r, fmt.Errorf("%w: %w", ErrLater, err)
		case http.StatusRequestEntityTooLarge:
			return r, fmt.Errorf("%w: %w", ErrTooLarge, err)
		default:
			return r, err
		}
	}
}
