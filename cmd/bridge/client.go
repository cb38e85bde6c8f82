package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// client makes cmd a command that asks a running bridge.
func client(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().SortFlags = false
	cmd.Flags().String("admin", config.Default().Admin, "`ADDRESS` of the bridge's admin side")
	cmd.Flags().String("admin-token", "", "`TOKEN` that the admin side needs, where it needs one")
	cmd.Flags().String("admin-token-file", "", "`FILE` that holds it")
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return bindClient(cmd.Flags()) }
	return cmd
}

// connectorClient is client for a command that is about all connectors, or the one
// that --connector names.
func connectorClient(cmd *cobra.Command) *cobra.Command {
	client(cmd).Flags().String("connector", "", "`NAME` of the one connector that is meant (default all)")
	return cmd
}

// bindClient sets flags from the environment. A token on the command line takes
// the place of one in the environment, however that is given.
func bindClient(fs *pflag.FlagSet) error {
	other := ""
	switch {
	case fs.Changed("admin-token"):
		other = "admin-token-file"
	case fs.Changed("admin-token-file"):
		other = "admin-token"
	}
	given := other != "" && fs.Changed(other)
	if err := cli.BindEnv("BRIDGE", fs); err != nil {
		return err
	}
	if other != "" && !given {
		return fs.Set(other, "")
	}
	return nil
}

// apiOf is the admin side of the bridge that a command names.
func apiOf(cmd *cobra.Command) (jsoncall.API, error) {
	api := jsoncall.API{Base: cli.BaseURL(flag(cmd, "admin")), Token: flag(cmd, "admin-token")}
	file := flag(cmd, "admin-token-file")
	switch {
	case file == "":
		return api, nil
	case api.Token != "":
		return api, errors.New("--admin-token and --admin-token-file say the same; leave out one of them")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return api, fmt.Errorf("--admin-token-file: %w", err)
	}
	api.Token = strings.TrimRight(string(text), "\r\n")
	return api, nil
}

// brief is how long an answer may take that needs no reading of the disk.
const brief = time.Minute

// ask gets a path of the admin side.
func ask(ctx context.Context, cmd *cobra.Command, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, brief)
	defer cancel()
	return call(ctx, cmd, http.MethodGet, path+"?"+query.Encode(), nil, into)
}

// call makes a request to the admin side, with form in its body.
func call(ctx context.Context, cmd *cobra.Command, method, path string, form url.Values, into any) error {
	api, err := apiOf(cmd)
	if err != nil {
		return err
	}
	var body any
	if form != nil {
		body = form
	}
	return explained(api, api.Do(ctx, method, path, body, into))
}

// explained puts an error of a call in words for a terminal.
func explained(api jsoncall.API, err error) error {
	if answer, ok := errors.AsType[*jsoncall.StatusError](err); ok {
		return errors.New("the bridge answered " + printable(answer.Error()))
	}
	if away := (*url.Error)(nil); errors.As(err, &away) {
		return fmt.Errorf("no bridge answers on %s (--admin says where): %w", api.Base, away.Err)
	}
	return err
}

// show gets a path and prints the answer: as JSON where the command says so.
func show[T any](cmd *cobra.Command, path string, query url.Values, write func(io.Writer, T)) error {
	var answer T
	if err := ask(cmd.Context(), cmd, path, query, &answer); err != nil {
		return err
	}
	return printed(cmd, answer, write)
}

// order posts a form and prints the answer. It waits for as long as that takes.
func order[T any](cmd *cobra.Command, path string, form url.Values, write func(io.Writer, T)) (answer T, err error) {
	if err := call(cmd.Context(), cmd, http.MethodPost, path, form, &answer); err != nil {
		return answer, err
	}
	return answer, printed(cmd, answer, write)
}

func printed[T any](cmd *cobra.Command, answer T, write func(io.Writer, T)) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetEscapeHTML(false)
		return encoder.Encode(answer)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	write(table, answer)
	return table.Flush()
}

func flag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}

// given puts what a command says of these flags into a query.
func given(cmd *cobra.Command, names ...string) url.Values {
	query := url.Values{}
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			query.Set(strings.ReplaceAll(name, "-", "_"), f.Value.String())
		}
	}
	return query
}
