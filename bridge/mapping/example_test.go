package mapping_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
	"github.com/currentsbridge/currentsbridge/bridge/mapping"
)

func ExampleMapper_AppendMessage() {
	body := []byte(`{"events":[{"event_type":"users.behaviors.CustomEvent","id":"0b4f","time":1700000000,
		"user":{"external_user_id":"customer-7"},"properties":{"platform":"ios","name":"Seat chosen","order":9007199254740993}}]}`)
	var batch currents.Batch
	if err := batch.Scan(body); err != nil {
		fmt.Println(err)
		return
	}
	mapper := mapping.Plain()
	for _, e := range batch.Events {
		message := mapper.AppendMessage(nil, body[e.Start:e.End], "id for events that have none")
		fmt.Printf("%s\n", message)
	}
	// Output:
	// {"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"},"os":{"name":"ios"}},"integrations":{"Braze":false},"type":"track","event":"users.behaviors.CustomEvent","messageId":"0b4f","userId":"customer-7","timestamp":"2023-11-14T22:13:20.000Z","properties":{"name":"Seat chosen","order":9007199254740993}}
}
