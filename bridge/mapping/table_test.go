package mapping

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/schemas"
)

func TestTable(t *testing.T) {
	g, err := schemas.Load()
	require.NoError(t, err)
	names := []string{"", "a", "b", "ab", "ba", "abc", "abcd", "abcdefg", "abcdefgh", "abcdefghi", "first_of_16_bytes", "\x00", "\x00\x00"}
	for i := range 200 { // alike at both ends, and of one length
		names = append(names, fmt.Sprintf("alike at the start %03d and at the end", i))
	}
	for i := range g.Events {
		names = append(names, g.Events[i].Name)
	}
	var numbers table
	find := func(name string) int { return numbers.find([]byte(name)) }
	require.Equal(t, -1, find("a"), "the zero value is empty")
	for i, name := range names {
		require.Equal(t, -1, find(name), name)
		require.Equal(t, i, numbers.add(name), name)
	}
	for i, name := range names {
		require.Equal(t, i, find(name), name)
		require.Equal(t, i, numbers.add(name), "adding again changes nothing")
		for _, other := range []string{name + "x", "x" + name, strings.ToUpper(name) + "!", strings.Replace(name, "and", "AND", 1) + " "} {
			require.Equal(t, -1, find(other), other)
		}
	}
	require.Equal(t, -1, find("alike at the start 200 and at the end"))
	require.Equal(t, -1, find("alike at the start 00x and at the end"))
}
