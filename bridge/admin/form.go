package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"
)

// largestForm bounds the body of a request, in bytes.
const largestForm = 1 << 20

// form returns what a request says, in its query and in its body, which may be a
// form or a JSON object. Where it returns false the request is answered.
func form(c *gin.Context) (url.Values, bool) {
	values, err := formOf(c.Writer, c.Request)
	if err != nil {
		fail(c, http.StatusBadRequest, err.Error())
		return nil, false
	}
	return values, true
}

func formOf(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, largestForm)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, errors.New("the body or the query is no form")
		}
		return r.Form, nil
	}
	values := r.URL.Query()
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, errors.New("the body is no JSON object")
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
				return nil, fmt.Errorf("%s must be text, a number, true or false, or a list of these", key)
			}
		}
	}
	return values, nil
}

// meant returns the connectors that a request is about: the one that it names,
// else all that need attention. Where it returns false the request is answered.
func (a *Admin) meant(c *gin.Context, values url.Values) ([]Connector, bool) {
	name := values.Get("connector")
	if name == "" {
		return a.shown(), true
	}
	for _, connector := range *a.connectors.Load() {
		if connector.Name == name {
			return []Connector{connector}, true
		}
	}
	fail(c, http.StatusNotFound, "there is no connector of this name")
	return nil, false
}

// momentOf reads a time, or how long ago it was.
func momentOf(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, errors.New("must be a time such as 2026-01-02T15:04:05Z, or how long ago, such as 2h")
	}
	return now.Add(-ago), nil
}
