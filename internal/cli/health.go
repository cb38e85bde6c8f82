package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Health describes a program's healthcheck command.
type Health struct {
	// Env is the prefix of the program's environment variables, such as BRIDGE.
	Env string
	// Flag is the flag with the address to ask, and Address its default. It has the
	// same name in the program's serve command, so that one environment variable sets
	// both.
	Flag, Address string
	// Path must answer 200, or Live with --live. With an empty Live there is no such
	// flag.
	Path, Live string
}

// HealthCommand returns the command healthcheck: silent where the running program
// answers 200, and otherwise an error of one line. It is the HEALTHCHECK of images
// FROM scratch, which have no curl.
func HealthCommand(h Health) *cobra.Command {
	var address, whole string
	var live bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit 0 if a running " + strings.ToLower(h.Env) + " is well, and 1 otherwise",
		Args:  cobra.NoArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			// Only the address: what else the variables say is for other commands.
			fs := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
			fs.AddFlag(cmd.Flags().Lookup(h.Flag))
			return BindEnv(h.Env, fs)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := whole
			if asked == "" {
				path := h.Path
				if live {
					path = h.Live
				}
				asked = BaseURL(address) + path
			}
			return checkHealth(cmd.Context(), asked, timeout)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&address, h.Flag, h.Address, "`ADDRESS` that it answers on")
	if h.Live != "" {
		flags.BoolVar(&live, "live", false, "ask "+h.Live+", whether the process lives, and not "+h.Path)
	}
	flags.StringVar(&whole, "url", "", "ask this `URL` instead")
	flags.DurationVar(&timeout, "timeout", 3*time.Second, "`DURATION` that the answer may take")
	return cmd
}

// BaseURL makes an address that a server listens on the beginning of a URL to
// reach it: a URL stays as it is but for slashes at its end, host:port becomes
// http://host:port, and a host that stands for all of this machine's addresses
// (none, 0.0.0.0, or ::, which Go listens on for IPv4 too) becomes 127.0.0.1.
func BaseURL(address string) string {
	if strings.Contains(address, "://") {
		return strings.TrimRight(address, "/")
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip, _ := netip.ParseAddr(host); host == "" || ip.IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return "http://" + address
}

// checkHealth is nil if a GET of address answers 200 within the time.
func checkHealth(ctx context.Context, address string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			err = cause.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s", within)
		}
		return fmt.Errorf("%s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var said struct{ Reason string }
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && json.Unmarshal(body, &said) == nil && said.Reason != "" {
		return fmt.Errorf("%s answered %d: %q", address, resp.StatusCode, said.Reason)
	}
	return fmt.Errorf("%s answered %d", address, resp.StatusCode)
}
