package jsonlex

// Decode reads valid JSON, faster than encoding/json: objects as map[string]any,
// arrays as []any, and scalars by the function scalar, which gets their text and
// must return a string for a string, keys included. Of several members of one name
// the last one counts, or with first the first.
func Decode(text string, first bool, scalar func(text string) any) any {
	d := decoding{Walker{Text: text}, first, scalar}
	v, _ := d.value(Space(text, 0))
	return v
}

type decoding struct {
	Walker
	first  bool
	scalar func(text string) any
}

func (d *decoding) value(i int) (v any, end int) {
	switch d.Text[i] {
	case '{':
		object := map[string]any{}
		end = d.Members(i, 0, func(quoted string, start int) int {
			v, end := d.value(start)
			key, _ := d.scalar(quoted).(string)
			if _, given := object[key]; !given || !d.first {
				object[key] = v
			}
			return end
		})
		return object, end
	case '[':
		list := []any{}
		end = d.Array(i, 0, func(start int) int {
			v, end := d.value(start)
			list = append(list, v)
			return end
		})
		return list, end
	}
	end = d.Value(i, 0)
	return d.scalar(d.Text[i:end]), end
}
