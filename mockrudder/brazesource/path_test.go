package brazesource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dots is an event with a key of so many dots, and others beside it.
func dots(n int) (event *object, path string) {
	key := strings.Repeat(".", n) + "x"
	properties := &object{}
	for i := range 2 * smallObject { // enough for a map
		properties.set(fmt.Sprint("plain", i), value{json: "1"})
	}
	properties.set("with.dot", value{json: "2"})
	properties.set(key, value{json: "3"})
	event = &object{}
	event.set("properties", value{object: properties})
	return event, key
}

// A key may have nearly as many dots as an event has bytes. The work grows with their
// number and not with its square, as few keys are joined.
func TestManyDotsAreWalkedOnce(t *testing.T) {
	for _, n := range []int{10, 1000, 100_000} {
		event, path := dots(n)
		get := func(path string) value { return getPath(event, "properties", event.get("properties"), path) }
		require.Equal(t, "3", get(path).json)
		require.Less(t, testing.AllocsPerRun(1, func() { get(path) }), 20.0, "%d dots", n)
		require.Zero(t, get(path+".y"))
		escaped := strings.Repeat(`\.`, n)
		require.Less(t, testing.AllocsPerRun(1, func() { get(escaped) }), 100.0, "%d escaped dots", n)
	}
}
