package main

import (
	"fmt"
	"strings"
	"unicode"
)

// printable makes text safe for a terminal. Events and RudderStack's responses come
// from outside, and a control character in them could clear the screen or hide text.
// It is escaped as in JSON, so that an event stays valid.
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
