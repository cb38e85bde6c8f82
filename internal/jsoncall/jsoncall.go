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

// maxError is how much of an unsuccessful answer is read.
const maxError = 64 << 10

// API is that of one program.
type API struct {
	Base  string // its URL, such as http://127.0.0.1:9090
	Token string // bearer token; empty: none
}

// Do is API.Do for one URL that needs no token.
func Do(ctx context.Context, method, url string, body, into any) error {
	return API{Base: url}.Do(ctx, method, "", body, into)
}

// Do sends body as JSON, nothing where it is nil, and reads a 2XX answer into
// into, which may be nil. Any other answer is a *StatusError with what the
// program says of it.
func (a API) Do(ctx context.Context, method, path string, body, into any) error {
	res, err := a.Open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, a.Base+path, err)
	}
	return nil
}

// Open is Do for an answer that the caller reads, and closes. A json.RawMessage is
// sent as it is.
func (a API) Open(ctx context.Context, method, path string, body any) (*http.Response, error) {
	url := a.Base + path
	raw, ok := body.(json.RawMessage)
	if body != nil && !ok {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, url, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err // it names the method and the URL
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, fmt.Errorf("%s %s: %w", method, url, statusError(res))
	}
	return res, nil
}

// StatusError is an answer other than 2XX.
type StatusError struct {
	Status int    // of HTTP
	Says   string // the program's explanation
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Says)
}

func statusError(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxError)) // a part is enough
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
