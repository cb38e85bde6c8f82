package schemas_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func ExampleLoad() {
	g, err := schemas.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(g.Events), "event types")

	open, _ := g.Event("users.messages.email.Open")
	fmt.Println(open.Name, "is", open.RudderName)
	for _, f := range open.Properties {
		if f.Required {
			fmt.Println("always there:", f.Name, f.Type)
		}
	}
	// Output:
	// 96 event types
	// users.messages.email.Open is Email Opened
	// always there: email_address string
}
