package currents

// value scans any JSON value that starts at i.
func (b *Batch) value(body []byte, i int) int {
	if i >= len(body) {
		return ^i
	}
	switch body[i] {
	case '"':
		end, _ := scanString(body, i+1)
		return end
	case '{', '[':
		return b.nested(body, i)
	default:
		return bare(body, i)
	}
}

func bare(body []byte, i int) int {
	switch c := body[i]; {
	case c == '-' || c-'0' <= 9:
		return scanNumber(body, i)
	case c == 't':
		return literal(body, i, "true")
	case c == 'f':
		return literal(body, i, "false")
	case c == 'n':
		return literal(body, i, "null")
	}
	return ^i
}

func literal(body []byte, i int, word string) int {
	for j := range len(word) {
		if i+j >= len(body) || body[i+j] != word[j] {
			return ^(i + j)
		}
	}
	return i + len(word)
}

// nested scans an object or array and all that is inside it. It does not call
// itself: which brackets are open is kept as one bit a level, the innermost 64
// in a word, the others in b.deep, so that no depth can overflow a stack.
func (b *Batch) nested(body []byte, i int) int {
	open := bracketStack{spill: b.deep[:0]}
	i = b.brackets(body, i, &open)
	b.deep = open.spill
	return i
}

func (b *Batch) brackets(body []byte, i int, open *bracketStack) int {
	for {
		// A value starts at i.
		if i >= len(body) {
			return ^i
		}
		if c := body[i]; c == '{' || c == '[' {
			open.push(c == '{')
			i = skipSpace(body, i+1)
			if i >= len(body) {
				return ^i
			}
			if body[i] != c+2 { // '{'+2 is '}', '['+2 is ']'
				if c == '{' {
					i = nestedKey(body, i)
				}
				if i < 0 {
					return i
				}
				continue
			}
			i++
			open.pop()
		} else if i = b.value(body, i); i < 0 {
			return i
		}
		// A value has ended before i.
		for {
			if open.depth == 0 {
				return i
			}
			if i = skipSpace(body, i); i >= len(body) {
				return ^i
			}
			c := body[i]
			if c == ',' {
				break
			}
			if c != open.closer() {
				return ^i
			}
			i++
			open.pop()
		}
		i = skipSpace(body, i+1)
		if open.object() {
			i = nestedKey(body, i)
		}
		if i < 0 {
			return i
		}
	}
}

// nestedKey scans a key and its colon and returns the index of the value.
func nestedKey(body []byte, i int) int {
	if i >= len(body) || body[i] != '"' {
		return ^i
	}
	i, _ = scanString(body, i+1)
	if i < 0 {
		return i
	}
	if i = skipSpace(body, i); i >= len(body) || body[i] != ':' {
		return ^i
	}
	return skipSpace(body, i+1)
}

// bracketStack remembers of each open bracket whether it is an object's.
type bracketStack struct {
	top   uint64 // the innermost brackets, the last one in bit 0; 1 is an object
	depth int
	spill []uint64 // the others, 64 in a word
}

func (s *bracketStack) push(object bool) {
	if s.depth&63 == 0 && s.depth > 0 {
		s.spill = append(s.spill, s.top)
	}
	s.top <<= 1
	if object {
		s.top |= 1
	}
	s.depth++
}

func (s *bracketStack) pop() {
	s.top >>= 1
	s.depth--
	if s.depth&63 == 0 && s.depth > 0 {
		s.top = s.spill[len(s.spill)-1]
		s.spill = s.spill[:len(s.spill)-1]
	}
}

func (s *bracketStack) object() bool { return s.top&1 == 1 }

func (s *bracketStack) closer() byte {
	if s.object() {
		return '}'
	}
	return ']'
}

// skipSpace returns the index of the first byte from i on that is no JSON
// white space.
func skipSpace(body []byte, i int) int {
	if uint(i) < uint(len(body)) && body[i] > ' ' { // nearly always
		return i
	}
	return skipSpaces(body, i)
}

func skipSpaces(body []byte, i int) int {
	for ; i < len(body); i++ {
		if c := body[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
	}
	return i
}
