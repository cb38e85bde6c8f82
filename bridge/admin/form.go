package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
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
			switch item.(type) {
			case string, json.Number, bool:
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

	admin      *Admin
	ctx        context.Context // ends with the request
	values     url.Values
	connectors []Connector
	now        time.Time
	err        error // the first refusal of its parameters
}

func (r *request) refuse(wrong bool, text string) {
	if wrong {
		r.err = cmp.Or(r.err, bad(text))
	}
}

func (r *request) limit() int {
	limit, err := strconv.Atoi(cmp.Or(r.values.Get("limit"), strconv.Itoa(defaultLetters)))
	r.refuse(err != nil || limit < 1 || limit > maxLetters, "limit must be a number from 1 to "+strconv.Itoa(maxLetters))
	return limit
}

// number reads the number of a dead letter; 0 where the request gives none.
func (r *request) number(name, text string) uint64 {
	number, err := strconv.ParseUint(text, 10, 64)
	r.refuse(err != nil && text != "", name+" must be the number of a dead letter")
	return number
}

// moment reads a time, or how long ago it was; zero where the request gives none.
func (r *request) moment(name string) time.Time {
	text := r.values.Get(name)
	if at, err := time.Parse(time.RFC3339, text); err == nil || text == "" {
		return at
	}
	ago, err := time.ParseDuration(text)
	r.refuse(err != nil || ago < 0, name+" must be a time such as 2026-01-02T15:04:05Z, or how long ago, such as 2h")
	return r.now.Add(-ago)
}

func (r *request) pattern(text string) string {
	_, err := path.Match(text, "")
	r.refuse(err != nil, "type must be an event type or a pattern such as users.messages.email.*")
	return text
}

// refusal is an error that says with which status a request is answered.
type refusal struct {
	status int
	text   string
}

// Error returns what the answer says.
func (r refusal) Error() string { return r.text }

func bad(text string) error { return refusal{http.StatusBadRequest, text} }

func each[T any](connectors []Connector, ask func(Connector) (T, error)) ([]T, error) {
	list := []T{}
	for _, c := range connectors {
		item, err := ask(c)
		if err != nil {
			return nil, fmt.Errorf("connector %s: %w", c.Name, err)
		}
		list = append(list, item)
	}
	return list, nil
}

func delivered(connectors []Connector) (list []Connector, err error) {
	for _, c := range connectors {
		if c.Sender != nil {
			list = append(list, c)
		}
	}
	if list == nil {
		return nil, refusal{http.StatusConflict, "this connector is not in the configuration, so nothing delivers its events"}
	}
	return list, nil
}
