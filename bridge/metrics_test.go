package bridge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

var (
	documentedLine = regexp.MustCompile("(?m)^\\| `(bridge_\\w+)` \\| (\\w+) \\|([^|]*)\\|[^|]+\\|[^|]+\\|$")
	quoted         = regexp.MustCompile("`\\w+`")
	metricName     = regexp.MustCompile(`\b(bridge|process|go)_\w+`)
)

// readDocumented returns the kind and the labels of each metric.
func readDocumented(t *testing.T) map[string]string {
	page := casefile.Text(t, "../docs/metrics.md")
	metrics := map[string]string{}
	for _, line := range documentedLine.FindAllStringSubmatch(page, -1) {
		labels := quoted.FindAllString(line[3], -1)
		slices.Sort(labels)
		require.NotContains(t, metrics, line[1], "listed twice")
		metrics[line[1]] = fmt.Sprint(line[2], labels)
	}
	return metrics
}

func scrape(t *testing.T) map[string]*dto.MetricFamily {
	r := run(t, configFor(t, connectorTo(newStack(t).URL)))
	r.post(t, "/currents", "secret", unusual)
	r.settled(t)
	text := r.get(t, "/metrics", 200)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

func TestMetricsAreTheOnesThatAreDocumented(t *testing.T) {
	t.Parallel()
	shown := map[string]string{}
	for name, family := range scrape(t) {
		if !strings.HasPrefix(name, "bridge_") {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		slices.Sort(labels)
		shown[name] = fmt.Sprint(strings.ToLower(family.GetType().String()), labels)
	}
	require.Equal(t, readDocumented(t), shown)
}

// TestAlertsAndDashboard sees what Prometheus would refuse and Grafana would not show, that
// every metric in them exists, and that the page for operators says of each alert what to do.
func TestAlertsAndDashboard(t *testing.T) {
	t.Parallel()
	alerts := casefile.Text(t, "../deploy/prometheus/alerts.yaml")
	operations := casefile.Text(t, "../docs/operations.md")
	decoder := yaml.NewDecoder(strings.NewReader(alerts))
	decoder.KnownFields(true)
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, decoder.Decode(&file))
	seen := map[any]bool{}
	once := func(id any) {
		require.False(t, seen[id], id)
		seen[id] = true
	}
	for _, group := range file.Groups {
		require.NotEmpty(t, group.Name)
		for _, rule := range group.Rules {
			once(rule.Alert)
			wellFormed(t, rule.Expr)
			_, err := model.ParseDuration(cmp.Or(rule.For, "0s"))
			require.NoError(t, err, rule.Alert)
			require.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.Contains(t, operations, "`"+rule.Alert+"`")
		}
	}
	board := casefile.Text(t, "../deploy/grafana/bridge.json")
	var dashboard struct {
		Panels []struct {
			ID      int
			Targets []struct{ RefID, Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(board), &dashboard))
	for _, panel := range dashboard.Panels {
		once(panel.ID)
		for _, target := range panel.Targets {
			once(fmt.Sprint(panel.ID, target.RefID))
			wellFormed(t, target.Expr)
		}
	}
	families := scrape(t)
	for _, text := range []string{alerts, board} {
		names := metricName.FindAllString(text, -1)
		require.Greater(t, len(names), 8)
		for _, name := range names {
			require.Contains(t, families, strings.TrimSuffix(name, "_bucket"))
		}
	}
}

var (
	durations = regexp.MustCompile(`\[([^\]]*)\]`)
	texts     = regexp.MustCompile(`"[^"]*"`)
	pairs     = regexp.MustCompile(`\(\)|\[\]|\{\}`)
	others    = regexp.MustCompile(`[^"(){}\[\]]`)
)

// wellFormed finds brackets and quotes without their partners in a query, and
// what is no duration.
func wellFormed(t *testing.T, query string) {
	require.NotEmpty(t, query)
	left := others.ReplaceAllString(texts.ReplaceAllString(query, ""), "")
	for pairs.MatchString(left) {
		left = pairs.ReplaceAllString(left, "")
	}
	require.Empty(t, left, query)
	for _, d := range durations.FindAllStringSubmatch(query, -1) {
		if d[1] != "$__rate_interval" {
			_, err := model.ParseDuration(d[1])
			require.NoError(t, err, query)
		}
	}
}

// What an alert says of Braze's retries is what the page for operators says.
func TestAlertsSayWhatThePageSays(t *testing.T) {
	alerts := casefile.Text(t, "../deploy/prometheus/alerts.yaml")
	page := casefile.Text(t, "../docs/operations.md")
	for _, words := range []string{
		"the token is not one of the connector's; Braze does not send these batches again",
		"400: what comes is no batch, so it is not Braze", "Braze does not send again what got", "413: raise max_body", "Braze retries",
	} {
		require.Contains(t, alerts, words)
		require.Contains(t, strings.ReplaceAll(page, "`", ""), words)
	}
	for _, rule := range []string{`absent(up{job="bridge"})`, `bridge_requests_total{connector!="",code=~"4.."}`, "bridge_store_limit_bytes > 0"} {
		require.Contains(t, alerts, rule)
	}
}

// Each test that the page on reliability names exists. A name that ends in … is a
// prefix.
func TestReliabilityNamesTestsThatExist(t *testing.T) {
	page := casefile.Text(t, "../docs/reliability.md")
	var tests strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		tests.Write(text)
		return err
	}))
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)(…?)`").FindAllStringSubmatch(page, -1)
	require.Greater(t, len(names), 50)
	for _, name := range names {
		end := "("
		if name[2] != "" {
			end = ""
		}
		require.True(t, strings.Contains(tests.String(), "\nfunc "+name[1]+end), name[1])
	}
}
