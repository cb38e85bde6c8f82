package window_test

import (
	"fmt"

	"github.com/currentsbridge/currentsbridge/bridge/queue"
	"github.com/currentsbridge/currentsbridge/bridge/queue/window"
)

func ExampleWindow() {
	w := window.New(2)
	for _, id := range []string{"a", "b", "a", "c"} {
		_, repeat := w.Add(queue.HashID([]byte(id)))
		fmt.Println(id, repeat)
	}
	w.Trim() // only b and c are left
	fmt.Println(w.Len(), w.First(), w.Next())

	from := w.Next()
	w.Add(queue.HashID([]byte("d")))
	w.Forget(from, w.Next()) // d was not stored after all
	_, repeat := w.Add(queue.HashID([]byte("d")))
	fmt.Println("d", repeat)
	// Output:
	// a false
	// b false
	// a true
	// c false
	// 2 2 4
	// d false
}
