package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// largestForm bounds the body of a request, in bytes.
const largestForm = 1 << 20

// form returns what a request says, in its query and in its body, which may be a
// form or a JSON object; the error is a refusal.
func form(c *gin.Context) (url.Values, error) {
	r := c.Request
	r.Body = http.MaxBytesReader(c.Writer, r.Body, largestForm)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, bad("the body or the query is no form")
		}
		return r.Form, nil
	}
	values := r.URL.Query()
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, bad("the body is no JSON object")
	}
	for key, value := range object {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		for _, item := range list {
			switch item := item.(type) {
			case string:
				values.Add(key, item)
			case json.Number, bool:
				values.Add(key, fmt.Sprint(item))
			default:
				return nil, bad(key + " must be text, a number, true or false, or a list of these")
			}
		}
	}
	return values, nil
}

// request is what one request says, and the connectors that it is about.
type request struct {
	*gin.Context
	ctx        context.Context // ends with the request
	values     url.Values
	connectors []Connector
}

// limit reads how many items an answer may have.
func (r request) limit() (int, error) {
	limit, err := strconv.Atoi(cmp.Or(r.values.Get("limit"), strconv.Itoa(defaultLetters)))
	if err != nil || limit < 1 || limit > maxLetters {
		return 0, bad("limit must be a number from 1 to " + strconv.Itoa(maxLetters))
	}
	return limit, nil
}

// refusal is an error that says with which status a request is answered.
type refusal struct {
	status int
	text   string
}

// Error returns what the answer says.
func (r refusal) Error() string { return r.text }

func refuse(status int, text string) error { return refusal{status, text} }

func bad(text string) error { return refuse(http.StatusBadRequest, text) }

// about returns a handler that reads a request and answers with what answer returns,
// as JSON.
func (a *Admin) about(answer func(request) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		values, err := form(c)
		if err != nil {
			a.fail(c, err)
			return
		}
		connectors, err := a.named(values)
		if err != nil {
			a.fail(c, err)
			return
		}
		body, err := answer(request{c, c.Request.Context(), values, connectors})
		if err != nil {
			a.fail(c, err)
			return
		}
		a.show(c, body)
	}
}

// fail answers with an error: with the status of a refusal, or 500.
func (a *Admin) fail(c *gin.Context, err error) {
	if no, ok := errors.AsType[refusal](err); ok {
		fail(c, no.status, no.text)
		return
	}
	a.cfg.Log.Error("a request of the operator failed", "path", c.FullPath(), "error", err)
	fail(c, http.StatusInternalServerError, err.Error())
}

// failed is an error that names the connector.
func (c Connector) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("connector %s: %w", c.Name, err)
}

// show answers with events as they came: nothing in them is escaped for HTML.
func (a *Admin) show(c *gin.Context, answer any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		fail(c, http.StatusInternalServerError, err.Error())
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}

// named returns the connectors that a request is about: the one that it names, else
// all that need attention. The error is a refusal.
func (a *Admin) named(values url.Values) ([]Connector, error) {
	name := values.Get("connector")
	if name == "" {
		return a.shown(), nil
	}
	for _, connector := range *a.connectors.Load() {
		if connector.Name == name {
			return []Connector{connector}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "there is no connector of this name")
}

// momentOf reads the time, or how long ago it was, that a request gives by a name;
// the error is a refusal.
func momentOf(name, text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, bad(name + " must be a time such as 2026-01-02T15:04:05Z, or how long ago, such as 2h")
	}
	return now.Add(-ago), nil
}
