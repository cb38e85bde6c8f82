package population

// Draw is a source of choices that has no state: the same Draw always gives
// the same answer. With derives an independent Draw for a purpose or a place
// in a row, which is how values of one thing stay the same however many others
// are drawn in between, and by how many goroutines.
type Draw uint64

// golden is 2^64 divided by the golden ratio, the step of SplitMix64.
const golden = 0x9E3779B97F4A7C15

// mix is the output function of SplitMix64 (Steele, Lea, Flood 2014): a
// bijection on 64 bits that passes the usual statistical tests.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

// Key turns a name into a number for With.
func Key(name string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for i := 0; i < len(name); i++ {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// With derives the Draw for a key: Key of a name, or a running number.
func (d Draw) With(key uint64) Draw {
	return Draw(mix(uint64(d) + (key+1)*golden))
}

// Bits returns 64 even bits.
func (d Draw) Bits() uint64 { return mix(uint64(d) ^ 0x5851F42D4C957F2D) }

// N returns a number from 0 to n-1; n is at least 1 and below 2^32.
func (d Draw) N(n int) int { return int((d.Bits() >> 32) * uint64(n) >> 32) }

// Between returns a number from low to high, both included.
func (d Draw) Between(low, high int) int { return low + d.N(high-low+1) }

// Chance is true in percent of a hundred cases.
func (d Draw) Chance(percent int) bool { return d.N(100) < percent }

// Pick returns one of list, which must not be empty.
func Pick[T any](d Draw, list []T) T { return list[d.N(len(list))] }

// source feeds a Draw to libraries that want a math/rand.Source64.
type source struct {
	draw Draw
	n    uint64
}

// Uint64 implements math/rand.Source64.
func (s *source) Uint64() uint64 {
	s.n++
	return s.draw.With(s.n).Bits()
}

// Int63 implements math/rand.Source.
func (s *source) Int63() int64 { return int64(s.Uint64() >> 1) }

// Seed implements math/rand.Source.
func (s *source) Seed(seed int64) { s.draw, s.n = Draw(uint64(seed)), 0 }
