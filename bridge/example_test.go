package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/config"
)

func start(rudderURL string) (b *bridge.Bridge, cfg config.Config, at bridge.Addresses, stop func() error) {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		panic(err)
	}
	cfg = config.Default()
	cfg.Listen, cfg.Admin, cfg.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	connector := config.DefaultConnector()
	connector.Tokens, connector.RudderURL, connector.WriteKey = []string{"s3cret"}, rudderURL, "wk"
	cfg.Connectors = []config.Connector{connector}
	ready := make(chan bridge.Addresses, 1)
	b, err = bridge.New(cfg, bridge.Options{Ready: func(a bridge.Addresses) { ready <- a }})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case at = <-ready:
	case err := <-ended:
		panic(err)
	}
	return b, cfg, at, func() error { cancel(); return errors.Join(<-ended, os.RemoveAll(dir)) }
}

// A bridge inside another program: it takes one event and delivers it.
func Example() {
	delivered := make(chan string, 1)
	rudderstack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost {
			delivered <- string(body)
			_, _ = io.WriteString(w, "ok")
		}
	}))
	defer rudderstack.Close()
	_, _, at, stop := start(rudderstack.URL)
	req, _ := http.NewRequest(http.MethodPost, at.Intake+"/currents", strings.NewReader(
		`{"events":[{"id":"e1","event_type":"users.messages.email.Open","user":{"external_user_id":"jo"}}]}`))
	req.Header.Set("Authorization", "Bearer s3cret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	fmt.Println(<-delivered)
	fmt.Println(stop())

	// Output:
	// 200 OK
	// {"batch":[{"context":{"library":{"name":"unknown","version":"unknown"},"integration":{"name":"Braze"}},"integrations":{"Braze":false},"type":"track","event":"users.messages.email.Open","messageId":"e1","userId":"jo"}]}
	// <nil>
}

// A bridge takes another configuration while it runs, or refuses it and goes on
// with the old one.
func ExampleBridge_Reload() {
	b, cfg, _, stop := start("http://127.0.0.1:1")
	ctx := context.Background()
	connector := cfg.Connectors[0]
	connector.Tokens = []string{"s3cret", "new"} // both, until Braze sends the new one
	cfg.Connectors = []config.Connector{connector}
	fmt.Println(b.Reload(ctx, cfg, nil))
	wrong, err := config.Load(config.Source{Flags: map[string]string{"braze-token": "t", "rudder-url": "http://r"}})
	fmt.Println(b.Reload(ctx, wrong, err))
	fmt.Println(stop())
	fmt.Println(errors.Is(b.Reload(ctx, cfg, nil), bridge.ErrNotRunning))

	// Output:
	// <nil>
	// --write-key: write_key: is missing; it is the write key of the source in RudderStack
	// <nil>
	// true
}
