package deploy

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var update = flag.Bool("update", false, "write what is made of other files")

// podMonitor and prometheusRule have the fields of monitoring.coreos.com/v1 that
// are used here; any other is a mistake.
type podMonitor struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       struct {
		JobLabel string `yaml:"jobLabel"`
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		PodMetricsEndpoints []struct {
			Port, Path    string
			Authorization struct {
				Credentials struct{ Name, Key string }
			}
		} `yaml:"podMetricsEndpoints"`
	}
}

type prometheusRule struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       yaml.Node
}

// The rule for the operator has the same alerts as the file for Prometheus.
func TestPrometheusRuleIsMadeOfTheAlerts(t *testing.T) {
	const path = "kubernetes/monitoring/prometheusrule.yaml"
	_, groups, found := strings.Cut(read(t, "prometheus/alerts.yaml"), "\ngroups:\n")
	require.True(t, found)
	var want strings.Builder
	want.WriteString("# Made of prometheus/alerts.yaml: go test ./deploy -run TestPrometheusRule -update\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: bridge\nspec:\n  groups:\n")
	for line := range strings.Lines(groups) {
		want.WriteString("  " + line)
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want.String()), 0o644))
	}
	require.Equal(t, want.String(), read(t, path), "run this test with -update")

	var rule prometheusRule
	strict(t, path, &rule)
	var made, alerts any
	require.NoError(t, rule.Spec.Decode(&made))
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yaml")), &alerts))
	require.Equal(t, alerts, made)
}

// monitored is a user's overlay with the component monitoring.
func monitored(t *testing.T, name string) map[string]string {
	t.Helper()
	disk := filesys.MakeFsInMemory()
	require.NoError(t, fs.WalkDir(os.DirFS("kubernetes"), ".", func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.IsDir() {
			return nil
		}
		return disk.WriteFile(filepath.Join("/kubernetes", path), []byte(read(t, filepath.Join("kubernetes", path))))
	}))
	require.NoError(t, disk.WriteFile("/mine/kustomization.yaml", []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"+
		"namespace: currentsbridge\nresources: [../kubernetes/overlays/"+name+"]\ncomponents: [../kubernetes/monitoring]\n")))
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/mine")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, resource := range rendered.Resources() {
		text, err := resource.AsYAML()
		require.NoError(t, err)
		texts[resource.GetKind()] = string(text)
	}
	return texts
}

func TestMonitoringFindsThePods(t *testing.T) {
	eachOverlay(t, func(t *testing.T, c cluster, dir string) {
		texts := monitored(t, filepath.Base(dir))
		decoder := yaml.NewDecoder(strings.NewReader(texts["PodMonitor"]))
		decoder.KnownFields(true)
		var m podMonitor
		require.NoError(t, decoder.Decode(&m))
		require.Equal(t, "currentsbridge", m.Metadata.Namespace)
		w := c.bridge
		w.selects(t, m.Spec.Selector.MatchLabels)
		require.Equal(t, "bridge", w.pod.Labels[m.Spec.JobLabel], "the alerts ask for this job")
		endpoint := m.Spec.PodMetricsEndpoints[0]
		require.Contains(t, w.ports(), endpoint.Port)
		require.Equal(t, w.pod.Annotations["prometheus.io/path"], endpoint.Path)
		secret := exampleSecret(t)
		require.Equal(t, secret.Name, endpoint.Authorization.Credentials.Name)
		require.Contains(t, secret.StringData, endpoint.Authorization.Credentials.Key)
		require.Contains(t, texts["PrometheusRule"], "namespace: currentsbridge")
		kind := map[string]string{"sqlite": "StatefulSet", "postgres": "Deployment"}[filepath.Base(dir)]
		require.Contains(t, texts[kind], "containerPort")
		require.NotContains(t, texts[kind], "prometheus.io", "scraped once, and with the token")
	})
}
