package deploy

import (
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type prometheusFile struct {
	Global struct {
		ScrapeInterval     time.Duration `yaml:"scrape_interval"`
		EvaluationInterval time.Duration `yaml:"evaluation_interval"`
	}
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string `yaml:"job_name"`
		Authorization struct {
			CredentialsFile string `yaml:"credentials_file"`
		}
		StaticConfigs []struct {
			Targets []string
		} `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

// mountedAt returns the file of this repository that a service sees under a path.
func mountedAt(t *testing.T, s service, at string) string {
	t.Helper()
	source, found := s.mounts(t)[at]
	require.True(t, found, "nothing is mounted at %s", at)
	require.FileExists(t, source)
	return source
}

// tool runs a program that checks a file, where this machine has it.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed, so it does not check the file as well", name)
		}
		output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		require.NoError(t, err, string(output))
	})
}

func TestPrometheus(t *testing.T) {
	for path, token := range map[string]string{"compose.yaml": "", production: "/run/secrets/admin-token"} {
		t.Run(path, func(t *testing.T) { checkPrometheus(t, composeFiles(t)[path], token) })
	}
	tool(t, "promtool", "check", "rules", "prometheus/alerts.yaml")
}

// checkPrometheus sees that it finds the bridge and its alerts, and has the
// bridge's own admin token, where the bridge wants one.
func checkPrometheus(t *testing.T, file composeFile, token string) {
	t.Helper()
	at, found := strings.CutPrefix(file.Services["prometheus"].Command[0], "--config.file=")
	require.True(t, found)
	source := mountedAt(t, file.Services["prometheus"], at)
	var cfg prometheusFile
	strict(t, source, &cfg)
	require.NotEmpty(t, cfg.RuleFiles)
	alerts := ""
	for _, rules := range cfg.RuleFiles {
		alerts += read(t, mountedAt(t, file.Services["prometheus"], rules))
	}
	require.Len(t, cfg.ScrapeConfigs, 1)
	// The name by which an alert knows that a bridge is down.
	require.Contains(t, alerts, `up{job="`+cfg.ScrapeConfigs[0].JobName+`"} == 0`)
	require.Equal(t, token, cfg.ScrapeConfigs[0].Authorization.CredentialsFile)
	require.Equal(t, token, file.Services["bridge"].Environment["BRIDGE_ADMIN_TOKEN_FILE"])
	_, admin := hostPort(t, images(t)["bridge"].env["BRIDGE_ADMIN"])
	for _, target := range cfg.ScrapeConfigs[0].StaticConfigs[0].Targets {
		host, port := hostPort(t, target)
		require.Equal(t, namespace+"bridge", file.Services[host].Image)
		require.Equal(t, admin, port)
	}
	tool(t, "promtool", "check", "config", "--syntax-only", source)
}

type dataSources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name, UID, Type, Access, URL string
		IsDefault                    bool `yaml:"isDefault"`
		Editable                     bool
		JSONData                     struct {
			TimeInterval time.Duration `yaml:"timeInterval"`
		} `yaml:"jsonData"`
	}
}

type dashboards struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name, Type      string
		DisableDeletion bool `yaml:"disableDeletion"`
		AllowUIUpdates  bool `yaml:"allowUiUpdates"`
		Options         struct{ Path string }
	}
}

func TestGrafana(t *testing.T) {
	for _, path := range []string{"compose.yaml", production} {
		t.Run(path, func(t *testing.T) { checkGrafana(t, composeFiles(t)[path]) })
	}
}

func checkGrafana(t *testing.T, file composeFile) {
	t.Helper()
	grafana := file.Services["grafana"]
	const provisioning = "/etc/grafana/provisioning/"

	var sources dataSources
	strict(t, filepath.Join(grafana.mounts(t)[provisioning+"datasources"], "prometheus.yaml"), &sources)
	require.Len(t, sources.Datasources, 1)
	source := sources.Datasources[0]
	require.Equal(t, 1, sources.APIVersion)
	require.True(t, source.IsDefault)
	host, _ := hostPort(t, source.URL)
	require.Equal(t, "prometheus", source.Type)
	require.True(t, strings.HasPrefix(file.Services[host].Image, "prom/prometheus:"))
	var prometheus prometheusFile
	strict(t, "prometheus/prometheus.yaml", &prometheus)
	require.Equal(t, prometheus.Global.ScrapeInterval, source.JSONData.TimeInterval)

	var boards dashboards
	strict(t, filepath.Join(grafana.mounts(t)[provisioning+"dashboards"], "bridge.yaml"), &boards)
	require.Equal(t, 1, boards.APIVersion)
	shown := 0
	for at, source := range grafana.mounts(t) {
		if path.Dir(at) == boards.Providers[0].Options.Path {
			require.Equal(t, "./grafana/bridge.json", source)
			require.FileExists(t, source)
			require.Equal(t, at, grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
			shown++
		}
	}
	require.Equal(t, 1, shown)
}
