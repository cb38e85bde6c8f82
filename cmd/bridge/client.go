package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/currentsbridge/currentsbridge/bridge"
	"github.com/currentsbridge/currentsbridge/internal/cli"
)

// addAdminFlags adds the flags of a command that asks a running bridge.
func addAdminFlags(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().String("admin", bridge.DefaultConfig().Admin, "`ADDRESS` of the bridge's admin side")
	cmd.Flags().Bool("json", false, "print JSON")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return cli.BindEnv("BRIDGE", cmd.Flags()) }
}

// ask gets a path of the admin address that the command's flags name.
func ask(cmd *cobra.Command, path string) ([]byte, error) { return call(cmd, http.MethodGet, path) }

// call makes a request to that address and returns the body of a 200.
func call(cmd *cobra.Command, method, path string) ([]byte, error) {
	address, err := cmd.Flags().GetString("admin")
	if err != nil {
		return nil, err
	}
	return do(cmd.Context(), method, baseURL(address)+path)
}

func baseURL(address string) string {
	if strings.Contains(address, "://") {
		return strings.TrimRight(address, "/")
	}
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + address
}

// largestAnswer bounds what is read of an answer.
const largestAnswer = 1 << 30

func do(ctx context.Context, method, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("no bridge answers on %s://%s (--admin says where): %w", req.URL.Scheme, req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the bridge's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var said struct{ Error string }
		if json.Unmarshal(body, &said) != nil || said.Error == "" {
			said.Error = "is that a bridge's admin address?"
		}
		return nil, fmt.Errorf("the bridge answered %s: %s", resp.Status, said.Error)
	}
	return body, nil
}
