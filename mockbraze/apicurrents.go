package mockbraze

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// currentForm is what Braze's form asks for, and how the fake is to run it.
type currentForm struct {
	Kind    Kind     `json:"kind"`
	Name    string   `json:"integration_name"`
	Contact string   `json:"contact_email"`
	URL     string   `json:"url"`
	Token   string   `json:"token"`
	Region  string   `json:"region"`
	Events  []string `json:"events"`

	Batch        int     `json:"batch"`
	FlushAfter   float64 `json:"flush_after_seconds"`
	Rate         float64 `json:"rate"`
	Scenario     string  `json:"scenario"`
	OlderAccount bool    `json:"older_account"`
	EmptyProbe   bool    `json:"empty_probe"`
}

const formTodo = `Send {"kind":"http" or "rudderstack","integration_name","contact_email","url","token","region","events":[…]}; only url is needed, and events may hold patterns such as users.messages.email.*.`

// maxFlushAfter is far more than Braze ever waits.
const maxFlushAfter = 24 * time.Hour

// read makes a Current of the body, or fails the request.
func (a api) read(c *gin.Context) (spec Current, ok bool) {
	var form currentForm
	err := decode(c, &form)
	if err == nil && !(form.FlushAfter >= 0 && form.FlushAfter <= maxFlushAfter.Seconds()) {
		err = fmt.Errorf("flush_after_seconds: %v is not from 0 to %.0f", form.FlushAfter, maxFlushAfter.Seconds())
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return Current{}, false
	}
	return Current{
		Kind: form.Kind, Name: form.Name, Contact: form.Contact, Region: form.Region,
		URL: form.URL, Token: form.Token, Events: form.Events, Batch: form.Batch,
		FlushAfter: time.Duration(form.FlushAfter * float64(time.Second)), Rate: form.Rate,
		Scenario: form.Scenario, OlderAccount: form.OlderAccount, EmptyProbe: form.EmptyProbe,
	}, true
}

func (a api) list(c *gin.Context) {
	reports := []Report{}
	for _, current := range a.server.Currents() {
		reports = append(reports, current.Report())
	}
	c.JSON(http.StatusOK, gin.H{"currents": reports})
}

func (a api) show(c *gin.Context, current *Connector) { c.JSON(http.StatusOK, current.Report()) }

func (a api) create(c *gin.Context) {
	spec, ok := a.read(c)
	if !ok {
		return
	}
	current, err := a.server.Create(spec)
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return
	}
	c.Header("Location", "/api/currents/"+current.ID())
	c.JSON(http.StatusCreated, current.Report())
}

// change takes what may be changed while a Current runs; what is left out stays.
func (a api) change(c *gin.Context, current *Connector) {
	const todo = `Send {"rate":10,"url":"…","token":"…"}, or some of them.`
	var form struct {
		Rate  *float64 `json:"rate"`
		URL   string   `json:"url"`
		Token string   `json:"token"`
	}
	err := decode(c, &form)
	if err == nil && form.Rate != nil {
		err = checkRate(*form.Rate)
	}
	if err == nil {
		err = current.Mend(form.URL, form.Token)
	}
	if err == nil && form.Rate != nil {
		err = current.SetRate(*form.Rate)
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, todo)
		return
	}
	c.JSON(http.StatusOK, current.Report())
}

func (a api) remove(c *gin.Context, current *Connector) {
	a.server.Delete(current.ID())
	c.JSON(http.StatusOK, gin.H{"id": current.ID(), "state": current.State()})
}

// tested is the answer to a test of credentials.
type tested struct {
	Verdict Verdict `json:"verdict"`
	// Says is what the verdict means, in words.
	Says   string `json:"says"`
	Answer Answer `json:"answer"`
}

func newTested(a Answer, kind Kind) tested {
	t := tested{Verdict: a.Verdict(kind), Answer: a}
	switch {
	case t.Verdict == Denied:
		t.Says = fmt.Sprintf("The endpoint answers %d %s. Check the URL and the token.", a.Status, http.StatusText(a.Status))
	case t.Verdict == Good && a.Status == http.StatusBadRequest:
		t.Says = "RudderStack answers 400 to a request without events: it is there and knows the write key."
	case t.Verdict == Good:
		t.Says = fmt.Sprintf("The endpoint answers %d: the credentials are good.", a.Status)
	case a.Status == 0:
		t.Says = "There was no answer. A launch goes through, and batches are tried until one comes."
	default:
		t.Says = fmt.Sprintf("The endpoint answers %d %s, which says nothing of the credentials. A launch goes through.", a.Status, http.StatusText(a.Status))
	}
	return t
}

// testForm probes credentials without making a Current.
func (a api) testForm(c *gin.Context) {
	spec, ok := a.read(c)
	if !ok {
		return
	}
	answer, err := a.server.Test(c.Request.Context(), spec)
	if err != nil {
		fail(c, http.StatusBadRequest, err, formTodo)
		return
	}
	c.JSON(http.StatusOK, newTested(answer, spec.Kind))
}

func (a api) test(c *gin.Context, current *Connector) {
	answer, err := current.Test(c.Request.Context())
	if err != nil {
		fail(c, http.StatusServiceUnavailable, err, "Try again.")
		return
	}
	c.JSON(http.StatusOK, newTested(answer, current.spec.Kind))
}

// credentials are what may be mended with a launch.
type credentials struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// launch takes a new URL or token along, where the old one was wrong.
func (a api) launch(c *gin.Context, current *Connector) {
	var mended credentials
	err := decode(c, &mended)
	if err == nil {
		err = current.Mend(mended.URL, mended.Token)
	}
	if err != nil {
		fail(c, http.StatusBadRequest, err, `Send no body, or {"url":"…","token":"…"} to change one of them.`)
		return
	}
	var refused *LaunchError
	switch err := current.Launch(c.Request.Context()); {
	case errors.As(err, &refused):
		fail(c, http.StatusUnprocessableEntity, err, `Launch again with {"url":"…","token":"…"}, as they should be.`)
	case err != nil:
		fail(c, http.StatusServiceUnavailable, err, "Try again.")
	default:
		c.JSON(http.StatusOK, current.Report())
	}
}

func (a api) pause(c *gin.Context, current *Connector) {
	if err := current.Pause(); err != nil {
		fail(c, http.StatusConflict, err, "POST "+launchPath(current))
		return
	}
	c.JSON(http.StatusOK, current.Report())
}

func (a api) flush(c *gin.Context, current *Connector) {
	current.Flush()
	c.JSON(http.StatusOK, current.Report())
}

func (a api) seconds(c *gin.Context, current *Connector) {
	c.JSON(http.StatusOK, gin.H{"seconds": current.Seconds()})
}

func launchPath(current *Connector) string { return "/api/currents/" + current.ID() + "/launch" }
