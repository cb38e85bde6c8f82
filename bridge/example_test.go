package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/currentsbridge/currentsbridge/bridge"
)

// A bridge inside another program: it takes one event and delivers it.
func Example() {
	delivered := make(chan string, 1)
	rudderstack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost {
			delivered <- string(body)
		}
	}))
	defer rudderstack.Close()
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	cfg := bridge.DefaultConfig()
	cfg.Listen, cfg.Admin, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	connector := bridge.DefaultConnector()
	connector.Tokens = []string{"s3cret"}
	connector.RudderURL, connector.WriteKey = rudderstack.URL, "wk"
	cfg.Connectors = []bridge.Connector{connector}

	ready := make(chan bridge.Addresses, 1)
	var b *bridge.Bridge
	b, err = bridge.New(cfg, bridge.Options{Ready: func(a bridge.Addresses) { ready <- a }})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()

	select {
	case addresses := <-ready:
		req, _ := http.NewRequest(http.MethodPost, addresses.Intake+"/currents", strings.NewReader(
			`{"events":[{"id":"e1","event_type":"users.messages.email.Open","user":{"external_user_id":"jo"}}]}`))
		req.Header.Set("Authorization", "Bearer s3cret")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			break
		}
		defer resp.Body.Close()
		fmt.Println(resp.Status)
		fmt.Println(<-delivered)
		stop()
		fmt.Println(<-ended)
	case err := <-ended:
		fmt.Println(err)
	}
	stop()

	// Output:
	// 200 OK
	// {"batch":[{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track","event":"users.messages.email.Open","messageId":"e1","userId":"jo"}]}
	// <nil>
}

// Everything that a configuration can say, written in Go.
func ExampleConfig() {
	cfg := bridge.DefaultConfig()
	cfg.Queue = bridge.Queue{Store: "pebble", MaxSize: 50 << 30}
	cfg.Retain = bridge.Retain{Age: 72 * time.Hour, Size: 20 << 30}
	cfg.Log = bridge.Log{Format: "json", Level: "info"}
	cfg.Admin = "0.0.0.0:9090" // with AdminToken empty, this is worth a warning
	cfg.AdminHosts = []string{"bridge.example.com"}

	lossless := bridge.DefaultConnector()
	lossless.Name, lossless.Tokens = "brand-a", []string{"token-a"}
	lossless.RudderURL, lossless.WriteKey = "https://example.dataplane.rudderstack.com", "wk-a"
	lossless.Mode = bridge.Events
	lossless.MissingExternalUserID = bridge.Deliver // or bridge.Dead, or bridge.Drop
	lossless.Backoff = bridge.Backoff{Min: time.Second, Max: 20 * time.Second}

	dropIn := lossless
	dropIn.Name, dropIn.Tokens, dropIn.WriteKey = "brand-b", []string{"token-b"}, "wk-b"
	dropIn.Mode = bridge.Webhook

	cfg.Connectors = []bridge.Connector{lossless, dropIn}
	fmt.Println(cfg.Check())
	for _, warning := range cfg.Warnings() {
		fmt.Println(warning)
	}
	cfg.TLS = bridge.TLS{Cert: "/none.pem", Key: "/none.pem"}
	fmt.Println(cfg.Check() != nil)

	for _, c := range cfg.Connectors {
		var mode bridge.Mode = c.Mode
		var policy bridge.Policy = c.MissingExternalUserID
		fmt.Println(c.Name, mode, policy)
	}
	fmt.Println(bridge.Dead, bridge.Drop)

	// Output:
	// <nil>
	// admin: 0.0.0.0:9090 can be reached from other machines and needs no token; set admin_token, or listen on 127.0.0.1
	// true
	// brand-a events deliver
	// brand-b webhook deliver
	// dead drop
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

	_, err = bridge.Load(bridge.Source{
		File:  file,
		Env:   func(name string) (string, bool) { return "s3cret", name == "BRAZE_TOKEN" },
		Flags: map[string]string{"listen": "8080"},
	})
	var wrong *bridge.ConfigError
	if errors.As(err, &wrong) {
		for _, problem := range wrong.Problems {
			var p bridge.Problem = problem
			fmt.Println(strings.TrimPrefix(p.String(), dir+"/"))
		}
	}

	// Output:
	// --listen: listen: must be an address such as 127.0.0.1:8080, not "8080"
	// bridge.yaml:1: max_body: must be a size such as 16MiB or 20GB, not "16 buckets"
	// bridge.yaml:3: connectors[0].write_key: is missing; it is the write key of the source in RudderStack
}

// A bridge takes another configuration while it runs, or refuses it and goes on
// with the old one.
func ExampleBridge_Reload() {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := bridge.DefaultConfig()
	cfg.Listen, cfg.Admin, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	connector := bridge.DefaultConnector()
	connector.Tokens, connector.RudderURL, connector.WriteKey = []string{"old"}, "http://127.0.0.1:1", "wk"
	cfg.Connectors = []bridge.Connector{connector}

	ready := make(chan struct{})
	b, err := bridge.New(cfg, bridge.Options{Ready: func(bridge.Addresses) { close(ready) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-ready:
	case err := <-ended:
		fmt.Println(err)
		stop()
		return
	}

	connector.Tokens = []string{"old", "new"} // both, until Braze sends the new one
	cfg.Connectors = []bridge.Connector{connector}
	fmt.Println(b.Reload(ctx, cfg))
	fmt.Println(b.ReloadFrom(ctx, func() (bridge.Config, error) {
		return bridge.Load(bridge.Source{Flags: map[string]string{"braze_token": "t", "rudder_url": "http://r"}})
	}))
	stop()
	fmt.Println(<-ended)
	fmt.Println(errors.Is(b.Reload(context.Background(), cfg), bridge.ErrNotRunning))

	// Output:
	// <nil>
	// --write-key: write_key: is missing; it is the write key of the source in RudderStack
	// <nil>
	// true
}

// A queue on NATS is reached with what stands in Queue. OpenStore opens the
// store alone, for programs that do not deliver.
func ExampleOpenStore() {
	onNATS := bridge.DefaultConfig()
	onNATS.Queue = bridge.Queue{
		Store: "tls://nats-1:4222,nats-2:4222,nats-3:4222",
		NATS:  bridge.NATS{User: "bridge", Password: "s3cret", TLS: bridge.ClientTLS{ServerName: "nats.example.com"}, Replicas: 3},
	}
	fmt.Println("on NATS:", onNATS.Queue.OnNATS())

	dir, err := os.MkdirTemp("", "bridge-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	cfg, err := bridge.LoadStore(bridge.Source{Flags: map[string]string{"data_dir": dir, "queue": "pebble"}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	warnings, err := cfg.AskQueue(ctx) // of the embedded store there is nothing to ask
	if err != nil {
		panic(err)
	}
	store, err := bridge.OpenStore(ctx, cfg, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	names, err := store.Connectors(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("warnings:", len(warnings), "connectors:", len(names))
	// Output:
	// on NATS: true
	// warnings: 0 connectors: 0
}
