package population

const (
	hexDigits   = "0123456789abcdef"
	upperDigits = "0123456789ABCDEF"
)

// appendHex64 appends the 2·bytes hex digits of the lowest bytes of v.
func appendHex64(dst []byte, v uint64, bytes int, digits string) []byte {
	for shift := 8*bytes - 4; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// AppendHex appends n random lower-case hex digits.
func AppendHex(dst []byte, d Draw, n int) []byte {
	for i := 0; i < n; i += 16 {
		v := d.With(uint64(i)).Bits()
		for j := i; j < n && j < i+16; j++ {
			dst = append(dst, hexDigits[v&15])
			v >>= 4
		}
	}
	return dst
}

// AppendUUID appends a random UUID (version 4, RFC 9562), in lower case.
func AppendUUID(dst []byte, d Draw) []byte {
	return appendUUID(dst, d.With(0).Bits(), d.With(1).Bits(), hexDigits)
}

// AppendUpperUUID appends a random UUID in capitals, as Apple's systems do.
func AppendUpperUUID(dst []byte, d Draw) []byte {
	return appendUUID(dst, d.With(0).Bits(), d.With(1).Bits(), upperDigits)
}

func appendUUID(dst []byte, hi, lo uint64, digits string) []byte {
	hi = hi&^0xF000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	dst = append(appendHex64(dst, hi>>32, 4, digits), '-')
	dst = append(appendHex64(dst, hi>>16, 2, digits), '-')
	dst = append(appendHex64(dst, hi, 2, digits), '-')
	dst = append(appendHex64(dst, lo>>48, 2, digits), '-')
	return appendHex64(dst, lo, 6, digits)
}

// AppendObjectID appends a BSON object id: 24 hex digits, of which the first 8
// are the second it was made in.
func AppendObjectID(dst []byte, d Draw, created int64) []byte {
	dst = appendHex64(dst, uint64(created), 4, hexDigits)
	return appendHex64(dst, d.Bits(), 8, hexDigits)
}

// AppendDigits appends n decimal digits.
func AppendDigits(dst []byte, d Draw, n int) []byte {
	v := d.Bits()
	for i := 0; i < n; i++ {
		if i%16 == 15 {
			v = d.With(uint64(i)).Bits()
		}
		dst = append(dst, byte('0'+v%10))
		v /= 10
	}
	return dst
}

func uuidString(d Draw) string { return string(AppendUUID(nil, d)) }
