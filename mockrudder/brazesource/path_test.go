package brazesource

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plainWalk is getPath as in RudderStack: it looks up every joined key.
func plainWalk(target value, path string) (value, error) {
	if v, ok, err := get(target, path); ok || err != nil {
		return v, err
	}
	segments := strings.Split(path, ".")
	at := 0
	for at < len(segments) && holdsKeys(target) {
		key := segments[at]
		for strings.HasSuffix(key, `\`) {
			at++
			next := ""
			if at < len(segments) {
				next = segments[at]
			}
			key = key[:len(key)-1] + "." + next
		}
		v, ok, err := get(target, key)
		for n := at + 1; !ok && err == nil && n < len(segments); n++ {
			key += "." + segments[n]
			if v, ok, err = get(target, key); ok {
				at = n
			}
		}
		if !ok || err != nil {
			return nil, err
		}
		target = v
		at++
	}
	if at != len(segments) {
		return nil, nil
	}
	return target, nil
}

// pieces are the parts of keys and paths of the test.
var pieces = [...]string{"a", "b", "", `\`, `a\`, "0", "length", "toString", "call", "arguments", "__proto__", "aa"}

func randomPath(rng *rand.Rand) string {
	parts := make([]string, 1+rng.IntN(6))
	for i := range parts {
		parts[i] = pieces[rng.IntN(len(pieces))]
	}
	return strings.Join(parts, ".")
}

func randomValue(rng *rand.Rand, depth int) value {
	switch n := rng.IntN(6); {
	case depth == 0 || n == 0:
		return fmt.Sprint(rng.IntN(1000))
	case n == 1:
		a := &array{}
		for range rng.IntN(3) {
			a.set(indexKey(a.length), randomValue(rng, depth-1))
		}
		if rng.IntN(2) == 0 {
			a.set(randomPath(rng), randomValue(rng, depth-1))
		}
		return a
	}
	o := &object{}
	for range rng.IntN(20) {
		o.set(randomPath(rng), randomValue(rng, depth-1))
	}
	if rng.IntN(3) == 0 && len(o.members) > 0 {
		o.delete(o.members[0].key)
	}
	return o
}

func TestGetPathAgreesWithAPlainWalk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 200 {
		target := randomValue(rng, 3)
		for range 10 {
			path := randomPath(rng)
			want, wantErr := plainWalk(target, path)
			got, err := getPath(target, path)
			require.Equal(t, wantErr, err, path)
			require.Equal(t, want, got, "%q of %#v", path, target)
			if want != nil {
				found++
			}
		}
	}
	require.Greater(t, found, 60)
}

// dots is an event with a key of so many dots, and others beside it.
func dots(n int) (event *object, path string) {
	key := strings.Repeat(".", n) + "x"
	properties := &object{}
	for i := range 20 { // enough for a map
		properties.set(fmt.Sprint("plain", i), "1")
	}
	properties.set("with.dot", "2")
	properties.set(key, "3")
	event = &object{}
	event.set("properties", properties)
	return event, "properties." + key
}

// A key may have nearly as many dots as an event has bytes. The work grows with their
// number and not with its square, as few keys are joined.
func TestManyDotsAreWalkedOnce(t *testing.T) {
	for _, n := range []int{10, 1000, 100_000} {
		event, path := dots(n)
		v, err := getPath(event, path)
		require.NoError(t, err)
		require.Equal(t, "3", v)
		require.Less(t, testing.AllocsPerRun(1, func() { _, _ = getPath(event, path) }), 20.0, "%d dots", n)
		_, err = getPath(event, path+".y")
		require.NoError(t, err)
		escaped := strings.Repeat(`\.`, n)
		require.Less(t, testing.AllocsPerRun(1, func() { _, _ = getPath(event, "properties."+escaped) }), 100.0, "%d escaped dots", n)
	}
}

func BenchmarkManyDots(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		event, path := dots(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := getPath(event, path); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/dot")
		})
	}
}
