package harness

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
	"github.com/currentsbridge/currentsbridge/schemas"
)

// UpConfig says where Up serves. The zero value serves on the default ports of
// the three programs.
type UpConfig struct {
	Braze  string // address of the fake Braze; default 127.0.0.1:8091
	Rudder string // address of the fake RudderStack; default 127.0.0.1:8090
	Listen string // address that the bridge takes events on; default 127.0.0.1:8080
	Admin  string // address of the bridge's admin side; default 127.0.0.1:9090
	Mode   Mode   // default ModeEvents
	Bridge string // path of the bridge's program; default: beside the running program
	// Dir keeps the bridge's data, configuration and log; default: a temporary
	// directory that is removed.
	Dir string
	Out io.Writer // where it says what is where; nil: nowhere
}

// upToken is the token of the connector that Up sets up. It guards nothing.
const upToken = "try-me"

// Up runs all three until ctx ends, with a Current that is ready to send.
func Up(ctx context.Context, c UpConfig) error {
	c.Braze = cmp.Or(c.Braze, "127.0.0.1:8091")
	c.Rudder = cmp.Or(c.Rudder, "127.0.0.1:8090")
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:8080")
	c.Admin = cmp.Or(c.Admin, "127.0.0.1:9090")
	c.Mode = cmp.Or(c.Mode, ModeEvents)
	if c.Out == nil {
		c.Out = io.Discard
	}
	glossary, err := schemas.Load()
	if err != nil {
		return err
	}
	rudder, err := mockrudder.New()
	if err != nil {
		return err
	}
	defer rudder.Close()
	braze, err := mockbraze.New()
	if err != nil {
		return err
	}
	defer braze.Close()
	_, stopRudder, err := serve(c.Rudder, rudder)
	if err != nil {
		return err
	}
	defer stopRudder()
	_, stopBraze, err := serve(c.Braze, braze.Handler())
	if err != nil {
		return err
	}
	defer stopBraze()
	program, err := findBridge(c.Bridge)
	if err != nil {
		return err
	}
	dir, remove, err := workDir(c.Dir, "currentsbridge-up-")
	if err != nil {
		return err
	}
	defer remove()
	bridge := &process{program: program, dir: dir, listen: c.Listen, admin: c.Admin}
	defer bridge.stop() //nolint:errcheck // without effect after the stop below
	settings := fmt.Sprintf("braze_token: %q\nmode: %q\nrudder_url: %q\nwrite_key: %q\n", upToken, c.Mode, "http://"+c.Rudder, c.Mode.writeKey())
	if err := bridge.start(ctx, settings); err != nil {
		return err
	}
	if err := c.launch(ctx, braze); err != nil {
		return err
	}
	c.explain(bridge, 10*len(glossary.Current())) // ten of a type show every field
	select {
	case <-ctx.Done():
		return bridge.stop()
	case <-bridge.running.Load().Gone:
		return bridge.running.Load().Ending()
	}
}

// launch makes the Current that "what to try" sends through.
func (c UpConfig) launch(ctx context.Context, braze *mockbraze.Server) error {
	current, err := braze.Create(mockbraze.Current{
		Name: "try me", URL: "http://" + c.Listen + "/currents", Token: upToken, Events: mockbraze.All,
	})
	if err != nil {
		return err
	}
	return current.Launch(ctx)
}

func (c UpConfig) explain(bridge *process, events int) {
	fmt.Fprintf(c.Out, `All three are running; Ctrl-C ends them.

  fake Braze         http://%[1]s
  bridge             http://%[2]s/currents   (token %[5]s)
  operator's page    http://%[3]s/
  fake RudderStack   http://%[4]s
  bridge's log       %[6]s

Try:
  curl -X POST 'http://%[1]s/api/currents/1/send?events=%[7]d'
  curl 'http://%[3]s/status'
  curl 'http://%[4]s/_mock/stats'
  curl 'http://%[4]s/_mock/events?event=users.messages.email.Open&limit=1'
`, c.Braze, c.Listen, c.Admin, c.Rudder, upToken, bridge.logPath(), events)
}
