package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/currentsbridge/currentsbridge/mockbraze/console"
)

func Example() {
	server := httptest.NewServer(console.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status, answer.Header.Get("Content-Type"))
	// Output: 200 OK text/html; charset=utf-8
}
