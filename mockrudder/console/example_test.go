package console_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/console"
)

// The page needs the query API, and so mockrudder serves both.
func ExampleHandler() {
	server := httptest.NewServer(console.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/_mock/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	fmt.Println(answer.StatusCode, strings.Contains(string(page), "<title>mockrudder</title>"), err)
	// Output: 200 true <nil>
}
