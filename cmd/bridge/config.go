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
		Args:  cobra.NoArgs,
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
