package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge"
)

const configHelp = `
The configuration comes from the flags, the environment (BRIDGE_LISTEN for
--listen) and a YAML file, in this order of precedence. Without a list of
connectors in a file, the flags describe one connector, called default. Without
a token the bridge starts only with --open, or open: true in the file.

  listen: 127.0.0.1:8080
  admin: 127.0.0.1:9090
  data_dir: ./data
  queue: {store: pebble, max_size: 50GiB}
  retain: {age: 72h, size: 20GiB}
  max_body: 16MiB
  log: {format: text, level: info}
  connectors:
    - name: brand-a
      token: ${BRAZE_TOKEN}
      rudder_url: https://example.dataplane.rudderstack.com
      write_key: ${WRITE_KEY}
      mode: events
      missing_external_user_id: deliver
`

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take events from Braze and deliver them to RudderStack",
		Long: `Take events from Braze and deliver them to RudderStack until the first SIGINT
or SIGTERM; then finish what is under way and exit 0. A second signal ends it at
once. When it answers, one line with its addresses goes to standard output; the
log goes to standard error. It exits 1 where the configuration is wrong, an
address is taken, or the data directory is in use.
` + configHelp,
		Example: `  bridge serve --braze-token s3cret --rudder-url https://example.dataplane.rudderstack.com --write-key 2abc
  bridge serve --config bridge.yaml
  bridge serve --open --rudder-url http://127.0.0.1:8090 --write-key wkHTTP    # to try it out`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags())
			if err != nil {
				return err
			}
			b, err := bridge.New(cfg, bridge.Options{
				Log: newLog(cfg.Log, cmd.ErrOrStderr()),
				Ready: func(a bridge.Addresses) {
					fmt.Fprintf(cmd.OutOrStdout(), "ready: listen=%s admin=%s\n", a.Intake, a.Admin)
				},
			})
			if err != nil {
				return err
			}
			tuneGC()
			return b.Run(cmd.Context())
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// gcPercent is how much the heap may grow between two collections. What lives
// on it is small and steady (most of it is the duplicate window), while each
// request leaves some garbage: 400 saves about a tenth of the CPU of Go's default
// of 100 for some 25 MB of memory (BenchmarkProcess).
const gcPercent = 400

// tuneGC leaves GOGC to whoever has set it.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration",
		Long: `Read a configuration as bridge serve would and print a line for each mistake.
It exits 0 if there is none, and 1 otherwise. It starts and opens nothing.
` + configHelp,
		Example: `  bridge check --config bridge.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags())
			var wrong *bridge.ConfigError
			if errors.As(err, &wrong) {
				for _, problem := range wrong.Problems {
					fmt.Fprintln(cmd.OutOrStdout(), problem)
				}
				return errors.New("") // all is said; the exit code is left
			}
			if err != nil {
				return err
			}
			summarize(cmd.OutOrStdout(), cfg)
			return nil
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

func summarize(to io.Writer, cfg bridge.Config) {
	fmt.Fprintf(to, "good: listens on %s, admin on %s, events in %s\n", cfg.Listen, cfg.Admin, cfg.DataDir)
	for _, c := range cfg.Connectors {
		access := fmt.Sprintf("%d token(s)", len(c.Tokens))
		if c.Open {
			access = "open to anyone"
		}
		fmt.Fprintf(to, "connector %s: /currents/%s, %s, to %s in mode %s\n", c.Name, c.Name, access, c.RudderURL, c.Mode)
	}
}

// addConfigFlags adds the flags that are keys of the configuration. Their
// defaults are bridge.DefaultConfig's; a flag that is not given says nothing.
func addConfigFlags(fs *pflag.FlagSet) {
	cfg, connector := bridge.DefaultConfig(), bridge.DefaultConnector()
	fs.SortFlags = false
	fs.String("config", "", "YAML file to read `FILE`")
	fs.String("listen", cfg.Listen, "`ADDRESS` that Braze posts to")
	fs.String("admin", cfg.Admin, "`ADDRESS` of status, health and metrics")
	fs.String("data-dir", cfg.DataDir, "`DIRECTORY` that keeps the events")
	fs.String("queue", cfg.Queue.Store, "`STORE` of the events; this build has pebble")
	fs.String("braze-token", "", "bearer `TOKEN` that Braze sends")
	fs.Bool("open", false, "take events without a token, from anyone")
	fs.String("rudder-url", "", "`URL` of RudderStack's data plane")
	fs.String("write-key", "", "write `KEY` of the source in RudderStack")
	fs.String("mode", string(connector.Mode), "how events are sent: events (finished messages) or webhook (as Braze does)")
	fs.String("log-format", cfg.Log.Format, "text or json")
	fs.String("log-level", cfg.Log.Level, "debug, info, warn or error")
}

// load reads the configuration that flags, environment and file give. The
// environment is not bound to the flags here, because it has its own place
// between them and the file.
func load(fs *pflag.FlagSet) (bridge.Config, error) {
	file, err := fs.GetString("config")
	if err != nil {
		return bridge.Config{}, err
	}
	if !fs.Changed("config") {
		file = os.Getenv("BRIDGE_CONFIG")
	}
	given := map[string]string{}
	fs.Visit(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		key := strings.ReplaceAll(f.Name, "-", "_")
		if section, name, ok := strings.Cut(f.Name, "log-"); ok && section == "" {
			key = "log." + name
		}
		given[key] = f.Value.String()
	})
	return bridge.Load(bridge.Source{File: file, Env: os.LookupEnv, Flags: given})
}

func newLog(cfg bridge.Log, to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}
