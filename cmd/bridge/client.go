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
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

// addAdminFlags adds the flags of a command that asks a running bridge.
func addAdminFlags(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().String("admin", config.Default().Admin, "`ADDRESS` of the bridge's admin side")
	cmd.Flags().String("admin-token", "", "`TOKEN` that the admin side needs, where it needs one")
	cmd.Flags().String("admin-token-file", "", "`FILE` that holds it")
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return bindClient(cmd.Flags()) }
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

// adminToken returns the token of the admin side; empty: none.
func adminToken(cmd *cobra.Command) (string, error) {
	token, file := flag(cmd, "admin-token"), flag(cmd, "admin-token-file")
	switch {
	case file == "":
		return token, nil
	case token != "":
		return "", errors.New("--admin-token and --admin-token-file say the same; leave out one of them")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--admin-token-file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// brief is how long an answer may take that needs no reading of the disk.
const brief = time.Minute

// ask gets a path of the admin address that the command's flags name, as JSON
// into into, which may be a *json.RawMessage.
func ask(cmd *cobra.Command, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return call(cmd, http.MethodGet, path, nil, brief, into)
}

// call makes a request to that address, with form in its body, and decodes the
// answer. It waits for within, or with 0 for as long as it takes.
func call(cmd *cobra.Command, method, path string, form url.Values, within time.Duration, into any) error {
	if within > 0 {
		limited, cancel := context.WithTimeout(cmd.Context(), within)
		defer cancel()
		whole := cmd.Context()
		cmd.SetContext(limited)
		defer cmd.SetContext(whole)
	}
	resp, err := request(cmd, method, path, form)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("read the bridge's answer: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer is not understood, is that a bridge's admin address? %w", err)
	}
	return nil
}

// largestAnswer bounds what is read of an answer.
const largestAnswer = 1 << 30

// request makes a request to that address, with form in its body. A status other
// than 200 is an error.
func request(cmd *cobra.Command, method, path string, form url.Values) (*http.Response, error) {
	token, err := adminToken(cmd)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(cmd.Context(), method, cli.BaseURL(flag(cmd, "admin"))+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("no bridge answers on %s://%s (--admin says where): %w", req.URL.Scheme, req.URL.Host, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		var said struct{ Error string }
		if json.Unmarshal(body, &said) != nil || said.Error == "" {
			said.Error = "is that a bridge's admin address?"
		}
		return nil, fmt.Errorf("the bridge answered %s: %s", resp.Status, printable(said.Error))
	}
	return resp, nil
}

func wantsJSON(cmd *cobra.Command) bool {
	asJSON, err := cmd.Flags().GetBool("json")
	return err == nil && asJSON
}

func printJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func flag(cmd *cobra.Command, name string) string {
	value, _ := cmd.Flags().GetString(name)
	return value
}

// named puts the connector that a command names, if any, into a query.
func named(cmd *cobra.Command) url.Values {
	query := url.Values{}
	if name := flag(cmd, "connector"); name != "" {
		query.Set("connector", name)
	}
	return query
}

// addConnectorFlag adds the name of the one connector that is meant.
func addConnectorFlag(cmd *cobra.Command) {
	cmd.Flags().String("connector", "", "`NAME` of the one connector that is meant (default all)")
}
