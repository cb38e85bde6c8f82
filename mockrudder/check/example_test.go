package check_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/check"
)

// A recorded request is judged event by event.
func ExampleChecker() {
	checker, err := check.New(check.Auto, "text", os.Stdout)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := `{"batch":[
		{"type":"track","event":"Order Placed","userId":"u-1","messageId":"m-1"},
		{"type":"track","event":"Order Placed","userId":"u-1","messageId":"m-2","properties":"none"}
	]}`
	if unread := checker.Stream("request.json", strings.NewReader(request)); unread != nil {
		checker.Unread(unread)
	}
	if _, err := checker.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// request.json:3: track Order Placed id=m-2: /properties: type: expected object or null, got string "none"
	// 2 events: 1 valid, 1 invalid; 0 with fields or types that the glossary does not know; read 4 of 4 lines
}

func ExampleEach() {
	_, err := check.Each(strings.NewReader("{\"events\":[{\"id\":1}]}\n{\"id\":2}"), func(item check.Item) error {
		fmt.Println(item.Line, string(item.Raw))
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 {"id":1}
	// 2 {"id":2}
	// <nil>
}
