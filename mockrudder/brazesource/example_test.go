package brazesource_test

import (
	"fmt"
	"strings"

	"github.com/currentsbridge/currentsbridge/mockrudder/brazesource"
)

// A property's name is taken for a path: the dot nests, and the number makes an
// array of all that came before.
func ExampleMapper_Transform() {
	source := brazesource.New()
	for _, properties := range []string{`{"plan.name":"gold"}`, `{"plan":"gold","1":"x"}`} {
		result, err := source.Transform(`{"events":[{"event_type":"users.behaviors.CustomEvent","id":"e-1",`+
			`"user":{"external_user_id":"u-1"},"properties":`+properties+`}]}`, 4_096_000)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, rest, _ := strings.Cut(result.Messages[0].JSON, `"userId":"u-1",`)
		fmt.Println(rest)
	}
	// Output:
	// "properties":{"plan":{"name":"gold"}}}
	// "properties":[null,"x"]}
}
