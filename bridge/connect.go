package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/bridge/delivery"
)

const connectTime = 10 * time.Second

// Connect tries the destination of each connector and each queue on PostgreSQL,
// all at once, and changes nothing there. What does not work is in the error, a
// *config.Error; what works and should be meant is a warning.
//
// A destination gets a batch without events, whose answer no proxy gives: a good
// write key is answered 400 with words of RudderStack's own, and nothing is
// stored.
func Connect(ctx context.Context, cfg config.Config) (warnings []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	// Each connector has its places, so that the order is that of the configuration.
	mistakes, found := make([]config.Mistake, 2*len(cfg.Connectors)), make([][]string, len(cfg.Connectors))
	queues := map[config.Queue]bool{}
	var all sync.WaitGroup
	for i, c := range cfg.Connectors {
		key := fmt.Sprintf("connectors[%d]", i)
		all.Go(func() {
			if at, text := tryDestination(ctx, c); text != "" {
				mistakes[2*i+1] = config.Mistake{Key: key + "." + at, Text: text}
			}
		})
		q := cfg.QueueOf(c)
		if q.URL == config.SQLite || queues[q] {
			continue
		}
		queues[q] = true
		at := key + ".queue"
		if c.Queue == nil {
			at = "queue"
		}
		all.Go(func() {
			texts, err := tryPostgreSQL(ctx, q)
			if err != nil {
				mistakes[2*i] = config.Mistake{Key: at, Text: err.Error()}
			}
			for _, text := range texts {
				found[i] = append(found[i], at+": "+text)
			}
		})
	}
	all.Wait()
	warnings = slices.Concat(found...)
	mistakes = slices.DeleteFunc(mistakes, func(m config.Mistake) bool { return m.Key == "" })
	if len(mistakes) > 0 {
		return warnings, &config.Error{Mistakes: mistakes}
	}
	return warnings, nil
}

func tryDestination(ctx context.Context, c config.Connector) (key, text string) {
	_, pool, err := c.RootCAs()
	if err != nil {
		return "ca_file", err.Error()
	}
	status, words, err := delivery.Probe(ctx, delivery.Config{Connector: c, RootCAs: pool})
	switch {
	case err != nil:
		return "rudder_url", err.Error()
	case status == 0:
		return "rudder_url", "RudderStack gives " + words
	case status == http.StatusBadRequest && words == delivery.EmptyBatch(c.Mode):
		return "", ""
	case status == http.StatusUnauthorized && c.Mode == config.Webhook:
		return "write_key", "RudderStack does not know it as the key of a Braze source, which mode webhook needs"
	case status == http.StatusUnauthorized:
		return "write_key", "RudderStack does not know it"
	case status == http.StatusNotFound && words == "source is disabled":
		return "write_key", "its source is disabled in RudderStack"
	default:
		return "rudder_url", fmt.Sprintf("is that RudderStack's data plane? The answer to an empty batch is %d %s", status, http.StatusText(status))
	}
}

func tryPostgreSQL(ctx context.Context, q config.Queue) (warnings []string, err error) {
	options, err := pgx.ParseConfig(q.URL)
	if err != nil {
		return nil, errors.New("is no URL of PostgreSQL")
	}
	if q.Password != "" {
		options.Password = q.Password
	}
	conn, err := pgx.ConnectConfig(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL cannot be reached: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var fsync, commit, standbys string
	row := conn.QueryRow(ctx, `select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names')`)
	if err := row.Scan(&fsync, &commit, &standbys); err != nil {
		return nil, fmt.Errorf("PostgreSQL does not say how it commits: %w", err)
	}
	if fsync == "off" {
		warnings = append(warnings, "PostgreSQL has fsync=off: a power cut there loses acknowledged events")
	}
	if commit == "off" {
		warnings = append(warnings, "PostgreSQL has synchronous_commit=off: a crash there loses acknowledged events")
	}
	if standbys == "" {
		warnings = append(warnings, "PostgreSQL has no synchronous standby: what is pending is lost with its disk")
	}
	return warnings, nil
}
