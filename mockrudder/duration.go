package mockrudder

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time span that is text such as "250ms" in JSON. JSON may also
// give milliseconds as a number, or true for what has no end.
type Duration time.Duration

// Forever is the Duration of what lasts until the client leaves.
const Forever Duration = -1

// MarshalJSON gives the text, or true for Forever.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d < 0 {
		return []byte("true"), nil
	}
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON takes "250ms", 250 or true.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case bool:
		*d = 0
		if v {
			*d = Forever
		}
		return nil
	case float64:
		*d = Duration(v * float64(time.Millisecond))
		return nil
	case string:
		span, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration such as 250ms", v)
		}
		*d = Duration(span)
		return nil
	}
	return fmt.Errorf("%s is no duration such as \"250ms\"", text)
}
