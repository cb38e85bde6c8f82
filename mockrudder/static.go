package mockrudder

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// The paths that say how the server is, as an idle server 1.83 says it.

type healthAnswer struct {
	AppType            string `json:"appType"`
	Server             string `json:"server"`
	DB                 string `json:"db"`
	AcceptingEvents    string `json:"acceptingEvents"`
	RoutingEvents      string `json:"routingEvents"`
	Mode               string `json:"mode"`
	BackendConfigMode  string `json:"backendConfigMode"`
	LastSync           string `json:"lastSync"`
	LastRegulationSync string `json:"lastRegulationSync"`
}

func health(c *gin.Context) {
	writeJSON(c.Writer, http.StatusOK, healthAnswer{
		AppType: "EMBEDDED", Server: "UP", DB: "UP", AcceptingEvents: "TRUE", RoutingEvents: "TRUE",
		Mode: "NORMAL", BackendConfigMode: "JSON", LastSync: time.Now().UTC().Format(time.RFC3339),
	})
}

func version(c *gin.Context) {
	writeJSON(c.Writer, http.StatusOK, map[string]any{"Version": "1.83.0", "Features": []string{"gzip-req-payload"}})
}

func robots(c *gin.Context) {
	c.Writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = c.Writer.WriteString("User-agent: * \nDisallow: / \n")
}

// writeJSON answers with a value as JSON.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // fails only where the client has left
}
