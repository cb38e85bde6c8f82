package currents_test

import (
	"errors"
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/currents"
)

func ExampleBatch_Scan() {
	body := []byte(`{"events":[
		{"event_type":"users.messages.email.Open","id":"a1","user":{"user_id":"bz1","external_user_id":"ext1"}},
		{"event_type":"users.messages.email.Open","id":12,"user":{"user_id":"bz2"},"properties":{"v2.0":9007199254740993,"note":"\u0000"}},
		"not an event"]}`)
	batch := currents.Batch{Limit: 100_000}
	if err := batch.Scan(body); err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range batch.Events {
		id, ok := currents.AppendID(nil, e.ID)
		fmt.Printf("%d bytes, id %s %t, problem %q, external id %t\n",
			e.End-e.Start, id, ok, e.Problem(), e.HasExternalUserID())
	}
	batch.Reset()
	// Output:
	// 103 bytes, id a1 true, problem "", external id true
	// 130 bytes, id 12 true, problem "", external id false
	// 14 bytes, id  false, problem "not_an_object", external id false
}

func ExampleBatch_Scan_errors() {
	batch := currents.Batch{Limit: 1}
	for _, body := range []string{" \n", `{"events":[}`, `{"event":[]}`, `{"events":[{},{}]}`} {
		err := batch.Scan([]byte(body))
		var syntax *currents.SyntaxError
		switch {
		case currents.IsBlank([]byte(body)):
			fmt.Println("nothing sent")
		case errors.As(err, &syntax):
			fmt.Println("not JSON from byte", syntax.Offset, errors.Is(err, currents.ErrNotJSON))
		case errors.Is(err, currents.ErrNoEvents):
			fmt.Println("no batch")
		case errors.Is(err, currents.ErrTooManyEvents):
			fmt.Println("too many")
		}
	}
	// Output:
	// nothing sent
	// not JSON from byte 11 true
	// no batch
	// too many
}

func ExampleFields() {
	object := []byte(`{"name":"Seat chosen", "user": {"us\u0065r_id":"bz1"}, "path":[["a"],"b"]}`)
	for f := currents.Fields(object); f.Next(); {
		start, end := f.Span()
		fmt.Printf("%s is %s, at %d to %d\n", f.Key(), f.Value(), start, end)
		if f.KeyIs("path") {
			fmt.Printf("first: %s\n", currents.FirstInside(f.Value()))
		}
	}
	// Output:
	// name is "Seat chosen", at 1 to 21
	// user is {"us\u0065r_id":"bz1"}, at 23 to 53
	// path is [["a"],"b"], at 55 to 73
	// first: "a"
}

// Walking into a value and leaving it again reads its bytes only once.
func ExampleFieldIterator_Inner() {
	event := []byte(`{"id":"0b4f","user":{"us\u0065r_id":"bz1","timezone":"Europe/Berlin"}}`)
	for f := currents.Fields(event); f.Next(); {
		inner := f.Inner()
		for inner.Next() {
			text, _ := currents.AppendText(nil, inner.Value())
			fmt.Printf("%s.%s (escaped %t) is %s\n", f.Key(), inner.AppendKey(nil), inner.Escaped(), text)
		}
		f.Leave(&inner)
	}
	// Output:
	// user.user_id (escaped true) is bz1
	// user.timezone (escaped false) is Europe/Berlin
}

func ExampleUsableID() {
	for _, id := range []string{`"0b4f"`, `12345`, `" "`, `0`, `null`, `true`} {
		fmt.Println(id, currents.UsableID([]byte(id)))
	}
	// Output:
	// "0b4f" true
	// 12345 true
	// " " false
	// 0 false
	// null false
	// true false
}

func ExampleSameNumber() {
	fmt.Println(currents.SameNumber([]byte("10"), []byte("1.0e1")))
	fmt.Println(currents.SameNumber([]byte("9007199254740993"), []byte("9007199254740992")))
	// Output:
	// true
	// false
}

func ExampleUsableIdentity() {
	for _, id := range []string{`"customer-7"`, `" "`, `null`} {
		fmt.Println(id, currents.UsableIdentity([]byte(id)))
	}
	// Output:
	// "customer-7" true
	// " " false
	// null false
}

func ExampleFieldIterator_Start() {
	event := []byte(`{"id":"a", "time":1700000000}`)
	for f := currents.Fields(event); f.Next(); {
		member, value := f.Start()
		fmt.Printf("%s starts at %d, its value at %d\n", f.Key(), member, value)
	}
	// Output:
	// id starts at 1, its value at 6
	// time starts at 11, its value at 18
}
