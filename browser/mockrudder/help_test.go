package mockrudder_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/browser/browsertest"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

// console is a mockrudder whose page is shown.
type console struct {
	*mockrudder.Server

	browser *browsertest.Browser
}

// post sends a body and returns the status, 0 for no answer.
func post(t testing.TB, url, key, body string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		request.SetBasicAuth(key, "")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

// track sends a message by the HTTP API.
func (c *console) track(t testing.TB, user, event string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"userId": user, "event": event, "properties": map[string]any{"a": 1}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, post(t, c.URL+"/v1/track", "wkHTTP", string(body)))
}

// braze sends a custom event as Braze does. app is JSON: anything but a text
// breaks the schema.
func (c *console) braze(t testing.TB, id, app string) {
	t.Helper()
	body := fmt.Sprintf(`{"events":[{"event_type":"users.behaviors.CustomEvent","id":%q,"time":1764000000,`+
		`"user":{"user_id":"5f2a91c04d1e","external_user_id":"ada"},"properties":{"app_id":%s,"name":"went","custom_properties":{},"ad_id":null}}]}`, id, app)
	require.Equal(t, http.StatusOK, post(t, c.WebhookURL("wkBraze"), "", body))
}

// show opens the page of a server and waits until it is live.
func (c *console) show(t testing.TB, query string) *browsertest.Page {
	t.Helper()
	page := c.browser.Open(t, c.URL)
	page.Size(1400, 900, false)
	page.Go(c.URL + "/_mock/" + query)
	page.Until(`["live", "off"].includes(document.body.dataset.state)`)
	return page
}

// rows waits for the list to have so many.
func rows(page *browsertest.Page, n int) {
	page.Until(fmt.Sprintf(`document.querySelector("#scroll").getAttribute("aria-rowcount") === "%d"`, n))
}
