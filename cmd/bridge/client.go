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
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
	"github.com/currentsbridge/currentsbridge/internal/jsoncall"
)

// client makes a command that asks a running bridge.
func client(use, short string, args cobra.PositionalArgs) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.String("admin", config.Default().Admin, "`ADDRESS` of the bridge's admin side")
	fs.String("admin-token", "", "`TOKEN` that the admin side needs, where it needs one")
	fs.String("admin-token-file", "", "`FILE` that holds it")
	fs.Bool("json", false, "print JSON")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		token, file := fs.Lookup("admin-token"), fs.Lookup("admin-token-file")
		if token.Changed || file.Changed { // it takes the place of one in the environment, however that is given
			token.Changed, file.Changed = true, true
		}
		return cli.BindEnv("BRIDGE", fs)
	}
	return cmd
}

func connectorClient(use, short string, args cobra.PositionalArgs) *cobra.Command {
	cmd := client(use, short, args)
	cmd.Flags().String("connector", "", "`NAME` of the one connector that is meant (default all)")
	return cmd
}

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

// ask makes a request to the admin side, such as GET /status, with parameters. What is
// not a GET reads the disk and takes as long as it takes.
func ask(cmd *cobra.Command, line string, form url.Values, into any) error {
	api, err := apiOf(cmd)
	if err != nil {
		return err
	}
	method, path, _ := strings.Cut(line, " ")
	if method != http.MethodGet {
		return explained(api, api.Do(cmd.Context(), method, path, form, into))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
	defer cancel()
	return explained(api, api.Do(ctx, method, path+"?"+form.Encode(), nil, into))
}

func explained(api jsoncall.API, err error) error {
	if answer, ok := errors.AsType[*jsoncall.StatusError](err); ok {
		return errors.New("the bridge answered " + printable(answer.Error()))
	}
	if away := (*url.Error)(nil); errors.As(err, &away) {
		return fmt.Errorf("no bridge answers on %s (--admin says where): %w", api.Base, away.Err)
	}
	return err
}

// asking has cmd make a request with its flags as parameters, and print the answer. Its
// arguments replace the stars of the path, or are parameters with these names; all beyond
// have the last name.
func asking[T any](cmd *cobra.Command, line string, write func(io.Writer, T), names ...string) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request, form := line, given(cmd)
		for i, arg := range args {
			if before, after, found := strings.Cut(request, "*"); found {
				request = before + url.PathEscape(arg) + after
			} else {
				form.Add(names[min(i, len(names)-1)], arg)
			}
		}
		var answer T
		if err := ask(cmd, request, form, &answer); err != nil {
			return err
		}
		return printed(cmd, answer, write)
	}
	return cmd
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

func given(cmd *cobra.Command) url.Values {
	form := url.Values{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		ofClient := f.Name == "json" || strings.HasPrefix(f.Name, "admin")
		if list, ok := f.Value.(pflag.SliceValue); ok && f.Changed {
			form[f.Name] = list.GetSlice()
		} else if f.Changed && !ofClient {
			form.Set(strings.ReplaceAll(f.Name, "-", "_"), f.Value.String())
		}
	})
	return form
}

// printable makes text safe for a terminal. Events and RudderStack's responses come
// from outside, and a control character in them could clear the screen or hide text.
// It is escaped as in JSON, so that an event stays valid.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
