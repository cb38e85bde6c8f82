package bridge

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// documented is a line of a table in docs/metrics.md.
type documented struct {
	kind   string
	labels []string
}

var (
	documentedLine = regexp.MustCompile("(?m)^\\| `(bridge_\\w+)` \\| (\\w+) \\|([^|]*)\\|[^|]+\\|[^|]+\\|$")
	quoted         = regexp.MustCompile("`(\\w+)`")
	metricName     = regexp.MustCompile(`\b(bridge|process|go)_\w+`)
	alertNames     = regexp.MustCompile(`(?m)^ *expr: (.+)$`)
	panelNames     = regexp.MustCompile(`"(?:expr|query)": "((?:[^"\\]|\\.)+)"`)
)

func readDocumented(t *testing.T) map[string]documented {
	t.Helper()
	page, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	metrics := map[string]documented{}
	for _, line := range documentedLine.FindAllStringSubmatch(string(page), -1) {
		d := documented{kind: line[2]}
		for _, label := range quoted.FindAllStringSubmatch(line[3], -1) {
			d.labels = append(d.labels, label[1])
		}
		slices.Sort(d.labels)
		require.NotContains(t, metrics, line[1], "listed twice")
		metrics[line[1]] = d
	}
	return metrics
}

// scrape returns what a bridge shows that has taken and delivered a batch.
func scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	r := run(t, configFor(t, connectorTo(newStack(t).URL)))
	code, answer := r.post(t, "/currents", "secret", odd)
	require.Equal(t, 200, code, answer)
	r.settled(t)
	_, text := r.get(t, "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

func TestMetricsAreTheOnesThatAreDocumented(t *testing.T) {
	shown := map[string]documented{}
	for name, family := range scrape(t) {
		if !strings.HasPrefix(name, "bridge_") {
			continue
		}
		d := documented{kind: strings.ToLower(family.GetType().String())}
		for _, label := range family.GetMetric()[0].GetLabel() {
			d.labels = append(d.labels, label.GetName())
		}
		slices.Sort(d.labels)
		shown[name] = d
	}
	require.Equal(t, readDocumented(t), shown)
}

// TestAlertsAndDashboardUseMetricsThatExist reads every expression in them.
func TestAlertsAndDashboardUseMetricsThatExist(t *testing.T) {
	families := scrape(t)
	for path, expressions := range map[string]*regexp.Regexp{
		"../deploy/prometheus/alerts.yaml": alertNames,
		"../deploy/grafana/bridge.json":    panelNames,
	} {
		file, err := os.ReadFile(path)
		require.NoError(t, err)
		used := 0
		for _, expression := range expressions.FindAllStringSubmatch(string(file), -1) {
			for _, name := range metricName.FindAllString(expression[1], -1) {
				family := strings.TrimSuffix(name, "_bucket")
				require.Contains(t, families, family, "%s: %s", path, expression[1])
				used++
			}
		}
		require.Greater(t, used, 8, path)
	}
}
