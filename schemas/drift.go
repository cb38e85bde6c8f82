package schemas

import (
	"cmp"
	"slices"
	"strings"

	"github.com/currentsbridge/currentsbridge/schemas/internal/bytecheck"
)

// drift makes findings of the unknown fields of an event: those at the top first,
// then those of properties and user, by name. Of a name given twice the last value
// counts. Objects within properties are the customer's own and have no known fields.
func drift(unknown []bytecheck.Finding, typ string) (found []Finding) {
	slices.SortStableFunc(unknown, func(a, b bytecheck.Finding) int {
		return cmp.Or(strings.Count(a.Path, "/")-strings.Count(b.Path, "/"), strings.Compare(a.Path, b.Path))
	})
	for i, u := range unknown {
		if i+1 < len(unknown) && unknown[i+1].Path == u.Path {
			continue
		}
		in := cmp.Or(typ, "an event")
		if section, _, inner := strings.Cut(u.Path[1:], "/"); inner {
			in = "the " + section + " of " + in
		}
		found = append(found, Finding{u.Path, RuleUnknownField, "expected a field that the glossary knows in " + in + ", got " + u.Detail})
	}
	return found
}
