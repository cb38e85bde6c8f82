package mockbraze

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// family is what Braze's documentation and its form call a group of types.
type family struct {
	Family string      `json:"family"`
	Title  string      `json:"title"`
	Events []typeEntry `json:"events"`
}

// typeEntry is one event type of the form.
type typeEntry struct {
	Name string `json:"name"`
	// Readable is what RudderStack calls it, empty where it has no name.
	Readable string `json:"readable_name"`
	// Group is the channel of a message event, or the kind of another.
	Group  string `json:"group"`
	Legacy bool   `json:"legacy"`
	Beta   bool   `json:"beta"`
}

// eventTypes lists every event type, and the scenarios.
func (a api) eventTypes(c *gin.Context) {
	families := []family{
		{Family: "message", Title: "Message engagement events"},
		{Family: "behavior", Title: "Customer behavior events"},
		{Family: "user", Title: "User events"},
		{Family: "agent", Title: "Agent events"},
		{Family: "optimizer", Title: "Content Optimizer events"},
	}
	for i := range families {
		f := &families[i]
		f.Events = []typeEntry{}
		for _, t := range a.server.glossary.Events {
			if t.Family == f.Family {
				f.Events = append(f.Events, typeEntry{t.Name, t.RudderName, groupOf(t.Name), t.Retired != "", t.Beta})
			}
		}
	}
	c.JSON(http.StatusOK, gin.H{"families": families, "scenarios": a.server.Scenarios()})
}

// groupOf is the second last part of a name, such as email of
// users.messages.email.Open.
func groupOf(name string) string {
	parts := strings.Split(name, ".")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}
