package mockrudder

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// pixelImage is what a pixel call always answers: a GIF of one transparent pixel.
const pixelImage = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel handles a call whose message stands in the query. Whatever is wrong
// with it, the answer is the image; only a good message is stored.
func (s *Server) pixel(kind string) gin.HandlerFunc {
	parse := parseSingle(kind)
	return func(c *gin.Context) {
		key := ""
		if src, _, ok := s.authenticate(c.Request, keyInQuery, false); ok {
			key = src.key
			message := pixelMessage(c.Request)
			if events, _, ok := parse(message); ok && s.limiter.allow(time.Now()) {
				s.accept(src, c.Request, len(message), events)
			}
		}
		s.store.answered(key, http.StatusOK)
		c.Writer.Header().Set("Content-Type", "image/gif")
		_, _ = c.Writer.WriteString(pixelImage)
	}
}

// pixelMessage makes a message of a query. A dot in a name leads into an object;
// every value is text.
func pixelMessage(r *http.Request) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	message := map[string]any{
		"channel":           "web",
		"integrations":      map[string]any{"All": true},
		"originalTimestamp": now,
		"sentAt":            now,
	}
	query := r.URL.Query()
	names := make([]string, 0, len(query))
	for name := range query {
		if name != "writeKey" && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names) // so that of two names in each other's way always the same one wins
	for _, name := range names {
		parts := strings.Split(name, ".")
		at := message
		for _, part := range parts[:len(parts)-1] {
			child, isObject := at[part].(map[string]any)
			if !isObject {
				child = map[string]any{}
				at[part] = child
			}
			at = child
		}
		at[parts[len(parts)-1]] = query[name][0]
	}
	return string(encode(message))
}
