// Package jsoncall calls the JSON APIs of this project's own programs.
package jsoncall

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxError is how much of an answer that is no success is read.
const maxError = 64 << 10

// Do sends body as JSON, nothing where it is nil, and reads a 2XX answer into
// into, which may be nil. Any other answer is a *StatusError with what the
// program says of it.
func Do(ctx context.Context, method, url string, body, into any) error {
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, url, err)
		}
		text = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, text)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err // it names the method and the URL
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("%s %s: %w", method, url, statusError(res))
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, url, err)
	}
	return nil
}

// StatusError is an answer that is no success.
type StatusError struct {
	Status int    // of HTTP
	Says   string // in the program's words
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Says)
}

func statusError(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxError)) // what has come says enough
	var said struct {
		Error string `json:"error"`
		ToDo  string `json:"what_to_do"`
	}
	e := &StatusError{Status: res.StatusCode, Says: string(bytes.TrimSpace(text))}
	if json.Unmarshal(text, &said) == nil && said.Error != "" {
		e.Says = said.Error
		if said.ToDo != "" {
			e.Says += ". " + said.ToDo
		}
	}
	return e
}
