package config_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// Everything that a configuration can say, written in Go.
func ExampleConfig() {
	cfg := config.Default()
	cfg.Queue = config.Queue{URL: config.SQLite, AckWait: 30 * time.Second, MaxSize: 50 << 30}
	cfg.Retain = config.Retain{Age: 72 * time.Hour, Size: 20 << 30}
	cfg.Log = config.Log{Format: "json", Level: "info"}
	cfg.Admin = "0.0.0.0:9090" // with AdminToken empty, this is worth a warning
	cfg.AdminHosts = []string{"config.example.com"}

	lossless := config.DefaultConnector()
	lossless.Name, lossless.Tokens = "brand-a", []string{"token-a"}
	lossless.RudderURL, lossless.WriteKey = "https://example.dataplane.rudderstack.com", "wk-a"
	lossless.Mode = config.Events
	lossless.MissingExternalUserID = config.Deliver // or config.Dead, or config.Drop
	lossless.Backoff = config.Backoff{Min: time.Second, Max: 20 * time.Second}

	dropIn := lossless
	dropIn.Name, dropIn.Tokens, dropIn.WriteKey = "brand-b", []string{"token-b"}, "wk-b"
	dropIn.Mode = config.Webhook

	cfg.Connectors = []config.Connector{lossless, dropIn}
	fmt.Println(cfg.Check())
	for _, warning := range cfg.Warnings() {
		fmt.Println(warning)
	}
	cfg.TLS = config.TLS{Cert: "/none.pem", Key: "/none.pem"}
	fmt.Println(cfg.Check() != nil)

	for _, c := range cfg.Connectors {
		fmt.Println(c.Name, c.Mode, c.MissingExternalUserID)
	}

	// Output:
	// <nil>
	// admin: 0.0.0.0:9090 can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1
	// true
	// brand-a events deliver
	// brand-b webhook deliver
}

// Load names every mistake at once, with the place where it was made.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bridge.yaml")
	err = os.WriteFile(file, []byte(`max_body: 16 buckets
connectors:
  - name: brand-a
    token: ${BRAZE_TOKEN}
    rudder_url: https://example.dataplane.rudderstack.com
`), 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = config.Load(context.Background(), config.Source{
		File:  file,
		Env:   func(name string) (string, bool) { return "s3cret", name == "BRAZE_TOKEN" },
		Flags: map[string]string{"listen": "8080"},
	})
	var wrong *config.Error
	if errors.As(err, &wrong) {
		for _, mistake := range wrong.Mistakes {
			fmt.Println(strings.TrimPrefix(mistake.String(), dir+"/"))
		}
	}

	// Output:
	// --listen: listen: must be an address such as 127.0.0.1:8080, not "8080"
	// bridge.yaml:1: max_body: must be a size such as 16MiB or 20GB, not "16 buckets"
	// bridge.yaml:3: connectors[0].write_key: is missing; it is the write key of the source in RudderStack
}
