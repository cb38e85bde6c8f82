package main

import (
	"fmt"
	"strings"
	"unicode"
)

// printable makes text fit for a terminal. What an event or an answer of
// RudderStack holds comes from outside, and a control character in it could
// clear the screen of whoever looks, or show something else than is there. It is
// written as JSON would escape it, so that an event stays the same event.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
