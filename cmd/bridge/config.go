package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/bridge/config"
)

const configHelp = `
The configuration comes from the flags, the environment (BRIDGE_LISTEN for
--listen) and a YAML file, in this order of precedence. Without a list of
connectors in a file, the flags describe one connector, called default. Without
a token the bridge starts only with --open, or open: true in the file. A file
may do without secrets: ${NAME} stands for a variable, and token_file,
write_key_file and salt_file name files that hold them, as does password_file of
a queue.

  listen: 127.0.0.1:8080
  tls: {cert: /etc/bridge/tls.crt, key: /etc/bridge/tls.key}
  admin: 127.0.0.1:9090
  data_dir: ./data
  queue: {url: sqlite, max_size: 50GiB}         # or of several bridges, see docs/scaling.md:
  # queue: {url: "postgres://bridge@db-1,db-2/bridge?target_session_attrs=read-write", password_file: /run/secrets/db}
  retain: {age: 72h, size: 20GiB}
  log: {format: text, level: info}
  connectors:
    - name: brand-a
      token: ${BRAZE_TOKEN}
      rudder_url: https://example.dataplane.rudderstack.com
      write_key_file: /run/secrets/write_key
      filter: {deny: [users.messages.sms.*], deny_properties: {app_id: test}}
      pii: {preset: hash, fields: {ip_pool: drop}}
      salt: ${SALT}
`

// setting is the value of a flag that is a setting. One that is not given says
// nothing, so the default is only shown.
type setting struct {
	config.Setting
	text string
}

// String implements pflag.Value.
func (s *setting) String() string { return s.text }

// Set implements pflag.Value.
func (s *setting) Set(text string) error { s.text = text; return nil }

// Type implements pflag.Value; --help shows it.
func (s *setting) Type() string {
	if s.Bool {
		return "bool"
	}
	return s.Value
}

func addConfigFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.String("config", "", "YAML file to read `FILE`")
	for _, s := range config.Settings() {
		if s.Flag == "" {
			continue
		}
		flag := fs.VarPF(&setting{s, s.Default}, s.Flag, "", s.Usage())
		if s.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

func load(fs *pflag.FlagSet) (config.Config, error) {
	file, given := os.Getenv("BRIDGE_CONFIG"), map[string]string{}
	if f := fs.Lookup("config"); f.Changed {
		file = f.Value.String()
	}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return config.Load(config.Source{File: file, Env: os.LookupEnv, Flags: given})
}

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration",
		Long: `Read a configuration as bridge serve would and print a line for each mistake, or
for each warning: what is allowed and may be a slip, such as an event type that
the glossary does not have. It exits 0 if there is no mistake, and 1 otherwise.
It starts nothing; of files it reads those that the configuration names. With
--connect it also tries the destinations with their write keys, by a batch
without events, and asks PostgreSQL how sure its commits are. It never prints a
secret.
` + configHelp,
		Example: `  bridge check --config bridge.yaml
  bridge check --config bridge.yaml --connect`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags())
			var warnings []string
			if err == nil {
				warnings = cfg.Warnings()
			}
			if connect, _ := cmd.Flags().GetBool("connect"); connect && err == nil {
				var found []string
				found, err = bridge.Connect(cmd.Context(), cfg)
				warnings = append(warnings, found...)
			}
			for _, warning := range warnings {
				fmt.Fprintln(cmd.OutOrStdout(), "warning: "+warning)
			}
			if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
				for _, mistake := range wrong.Mistakes {
					fmt.Fprintln(cmd.OutOrStdout(), mistake)
				}
				return exitCode(1)
			}
			if err == nil {
				summarize(cmd.OutOrStdout(), cfg)
			}
			return err
		},
	}
	addConfigFlags(cmd.Flags())
	cmd.Flags().Bool("connect", false, "try each destination with its write key, and each queue on PostgreSQL, for ten seconds at most")
	return cmd
}

func summarize(to io.Writer, cfg config.Config) {
	events := "in " + cfg.DataDir
	if cfg.Queue.URL != config.SQLite {
		events = "on PostgreSQL"
	}
	fmt.Fprintf(to, "good: listens on %s, admin on %s, events %s\n", cfg.Listen, cfg.Admin, events)
	for _, c := range cfg.Connectors {
		access := fmt.Sprintf("%d token(s)", len(c.Tokens))
		if c.Open {
			access = "open to anyone"
		}
		fmt.Fprintf(to, "connector %s: /currents/%s, %s, to %s in mode %s\n", c.Name, c.Name, access, c.RudderURL, c.Mode)
	}
}
