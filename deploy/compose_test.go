package deploy

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// image has the arguments of the instructions of an image, those of its base first.
type image map[string][]string

// images reads the stages of the Dockerfile that are images, by name. They are also
// built of the host's binaries, so they need nothing of what stands above them but
// /out.
func images(t *testing.T) map[string]image {
	_, text, found := strings.Cut(casefile.Text(t, "Dockerfile"), "\n# The images.\n")
	require.True(t, found)
	all, name := map[string]image{"scratch": {}}, ""
	for _, line := range regexp.MustCompile(`(?m)^([A-Z]+) (.*)$`).FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
		if line[1] == "FROM" {
			from, as, _ := strings.Cut(line[2], " AS ")
			require.Contains(t, all, from)
			all[as], name = maps.Clone(all[from]), as
			continue
		}
		all[name][line[1]] = append(slices.Clip(all[name][line[1]]), line[2])
	}
	delete(all, "scratch")
	delete(all, "base")
	return all
}

func (i image) env() map[string]string {
	named := map[string]string{}
	for pair := range strings.FieldsSeq(strings.Join(i["ENV"], " ")) {
		name, value, _ := strings.Cut(pair, "=")
		named[name] = value
	}
	return named
}

func (i image) ports() []string { return strings.Fields(strings.Join(i["EXPOSE"], " ")) }

// port is that of an address in the environment.
func (i image) port(t *testing.T, variable string) string {
	_, port, found := strings.Cut(i.env()[variable], ":")
	require.True(t, found, variable)
	return port
}

// command is what an instruction runs, without a shell, as there is none.
func (i image) command(t *testing.T, instruction string) (words []string) {
	for _, line := range i[instruction] {
		_, list, _ := strings.Cut(line, "[")
		require.NoError(t, json.Unmarshal([]byte("["+list), &words), line)
	}
	return words
}

// Each program has an image, which images.sh builds, that holds what it needs, is not
// root's, and can be reached from outside of the container where it says.
func TestImages(t *testing.T) {
	entries, err := os.ReadDir("../cmd")
	require.NoError(t, err)
	var programs []string
	for _, entry := range entries {
		programs = append(programs, entry.Name())
	}
	found := images(t)
	require.ElementsMatch(t, programs, slices.Collect(maps.Keys(found)))
	require.ElementsMatch(t, programs, []string{"bridge", "mockbraze", "mockrudder", "harness"})
	require.Contains(t, casefile.Text(t, "images.sh"), "\nprograms=\"bridge mockbraze mockrudder harness\"\n")
	require.Regexp(t, `(?m)^image: ## .*\n\t.*deploy/images\.sh$`, casefile.Text(t, "../Makefile"))
	for name, image := range found {
		require.NotContains(t, image, "RUN", "there is no shell")
		for _, files := range image["COPY"] {
			require.Regexp(t, `^--from=build .*/out/`, files)
		}
		copied := strings.Join(image["COPY"], "\n")
		require.Contains(t, copied, "/out/"+name+" ")
		require.Contains(t, copied, "/out/ca-certificates.crt ")
		require.Equal(t, []string{"/" + name}, image.command(t, "ENTRYPOINT"))
		require.Len(t, image["USER"], 1)
		require.Regexp(t, `^[1-9]\d*:[1-9]\d*$`, image["USER"][0])
		require.Contains(t, copied, "--chown="+image["USER"][0]+" /out/data /data")
		var listens []string
		for variable, value := range image.env() {
			if host, port, is := strings.Cut(value, ":"); is {
				require.Equal(t, "0.0.0.0", host, variable)
				listens = append(listens, port)
			}
		}
		require.ElementsMatch(t, image.ports(), listens)
		if len(listens) > 0 {
			require.Equal(t, []string{"/" + name, "healthcheck"}, image.command(t, "HEALTHCHECK"))
		}
	}
	require.Contains(t, found["harness"]["COPY"][2], "/out/bridge ", "the harness starts the bridge beside it")
	require.Equal(t, "/data", found["bridge"].env()["BRIDGE_DATA_DIR"])
}

// The compose files; production is the one without fakes.
const (
	production = "compose.production.yaml"
	scale      = "compose.scale.yaml"
	demo       = "compose.yaml"
)

// compose loads a file with these variables, or with those that have to be given, as
// Compose does: it matches the schema, and services, volumes and secrets that it refers
// to are there.
func compose(t *testing.T, path string, env map[string]string) *types.Project {
	dir, err := filepath.Abs(".")
	require.NoError(t, err)
	if env == nil {
		env = map[string]string{"RUDDER_URL": "https://rudder.example.com"}
	}
	details := types.ConfigDetails{WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: path}}, Environment: maps.Clone(env)}
	project, err := loader.LoadWithContext(t.Context(), details, loader.WithProfiles([]string{"*"}),
		func(o *loader.Options) { o.SetProjectName("deploy", true) })
	require.NoError(t, err)
	return project
}

// eachService calls check for every service of every file.
func eachService(t *testing.T, check func(t *testing.T, file *types.Project, s types.ServiceConfig)) {
	for _, path := range []string{demo, scale, production} {
		file := compose(t, path, nil)
		for name, s := range file.Services {
			t.Run(path+"/"+name, func(t *testing.T) { check(t, file, s) })
		}
	}
}

// mounted returns what a service sees under a path: a file of this directory, or the
// name of a volume.
func mounted(t *testing.T, s types.ServiceConfig, at string) string {
	i := slices.IndexFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == at })
	require.NotEqual(t, -1, i, "%s has nothing at %s", s.Name, at)
	return s.Volumes[i].Source
}

// What is published is on loopback, and the program listens there; mounted files exist;
// images are built here or have a version; and a container may do nothing but its work.
func TestComposeServices(t *testing.T) {
	known := images(t)
	eachService(t, func(t *testing.T, _ *types.Project, s types.ServiceConfig) {
		require.True(t, s.ReadOnly)
		require.Equal(t, []string{"ALL"}, s.CapDrop)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt)
		require.Equal(t, "unless-stopped", s.Restart)
		for _, volume := range s.Volumes {
			if volume.Type == types.VolumeTypeBind {
				_, err := os.Stat(volume.Source)
				require.NoError(t, err)
			}
		}
		target, own := strings.CutPrefix(s.Image, namespace)
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP)
			if own {
				require.Contains(t, known[target].ports(), strconv.Itoa(int(port.Target)))
			}
		}
		if !own {
			require.Regexp(t, `^[\w/]+:v?\d+\.\d+`, s.Image, "other people's images have a version")
			require.NotContains(t, s.Image, "currentsbridge", "a registry has another image of this name")
			return
		}
		require.Contains(t, known, target)
		require.Equal(t, types.PullPolicyNever, s.PullPolicy, "it is built here and never pulled")
		require.Equal(t, target, s.Build.Target)
		require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
		require.FileExists(t, filepath.Join(s.Build.Context, "go.mod"))
		require.Equal(t, append([]string{"CMD"}, known[target].command(t, "HEALTHCHECK")...), []string(s.HealthCheck.Test))
	})
}

// No two services of a file want one port or one volume, and a variable of its own
// changes each port.
func TestComposeFiles(t *testing.T) {
	for _, path := range []string{demo, scale, production} {
		taken := map[string]bool{}
		take := func(thing string) {
			require.False(t, taken[thing], "%s: %s has two owners", path, thing)
			taken[thing] = true
		}
		for _, s := range compose(t, path, nil).Services {
			for _, port := range s.Ports {
				take(port.Published)
			}
			for _, volume := range s.Volumes {
				if volume.Type == types.VolumeTypeVolume {
					take(volume.Source)
				}
			}
		}
		require.NotRegexp(t, `127\.0\.0\.1:\d`, casefile.Text(t, path))
		for _, variable := range regexp.MustCompile(`127\.0\.0\.1:\$\{\w+`).FindAllString(casefile.Text(t, path), -1) {
			take(variable)
		}
	}
}

// bridgeOf is the configuration of a bridge of a file; a secret is secret-of- and its
// name.
func bridgeOf(t *testing.T, file *types.Project, s types.ServiceConfig) config.Config {
	env := images(t)["bridge"].env()
	maps.Copy(env, s.Environment.ToMapping())
	secrets := t.TempDir()
	for _, secret := range s.Secrets {
		require.Equal(t, filepath.Join(file.WorkingDir, "secrets", secret.Source), file.Secrets[secret.Source].File)
		require.NoError(t, os.WriteFile(filepath.Join(secrets, secret.Source), []byte("secret-of-"+secret.Source+"\n"), 0o600))
	}
	at := s.Command[slices.Index(s.Command, "--config")+1]
	return bridgeConfig(t, mounted(t, s, at), env, "/run/secrets", secrets)
}

// checkQueue sees that the queue of a bridge is on a volume, its own or that of the
// PostgreSQL of its URL: one in memory would lose what was acknowledged.
func checkQueue(t *testing.T, file *types.Project, s types.ServiceConfig, cfg config.Config) {
	if cfg.Queue.URL == config.SQLite {
		require.Contains(t, file.Volumes, mounted(t, s, cfg.DataDir))
		return
	}
	queue, err := url.Parse(cfg.Queue.URL)
	require.NoError(t, err)
	server := file.Services[queue.Hostname()]
	require.Contains(t, file.Volumes, mounted(t, server, "/var/lib/postgresql/data"))
	env := server.Environment.ToMapping()
	require.Equal(t, "5432", queue.Port())
	require.Equal(t, env["POSTGRES_USER"], queue.User.Username())
	require.Equal(t, "/"+env["POSTGRES_DB"], queue.Path)
	password := env["POSTGRES_PASSWORD"]
	if password == "" {
		password = "secret-of-" + filepath.Base(env["POSTGRES_PASSWORD_FILE"])
	}
	require.Equal(t, password, cfg.Queue.Password)
}

// The bridges' configurations are valid, refer to what is there, can be written where
// they must, and leave time for the grace period.
func TestComposeBridges(t *testing.T) {
	bridges := 0
	eachService(t, func(t *testing.T, file *types.Project, s types.ServiceConfig) {
		if s.Image != namespace+"bridge" {
			return
		}
		bridges++
		cfg := bridgeOf(t, file, s)
		require.Greater(t, time.Duration(*s.StopGracePeriod), cfg.Grace)
		require.NotEmpty(t, cfg.Connectors[0].Tokens)
		checkQueue(t, file, s, cfg)
		if len(s.Tmpfs) > 0 {
			require.Contains(t, s.Tmpfs[0], cfg.DataDir+":uid=65532,")
		} else {
			mounted(t, s, cfg.DataDir)
		}
		if fake := file.Services["mockrudder"]; fake.Name != "" {
			require.Equal(t, "http://mockrudder:"+images(t)["mockrudder"].ports()[0], cfg.Connectors[0].RudderURL)
		}
	})
	require.Equal(t, 4, bridges)
}

// The production file starts with the example as it stands, which explains each
// variable and its default; the queue is in the server of the profile postgres with
// what is commented out.
func TestProduction(t *testing.T) {
	const example = "production.env.example"
	settings, err := dotenv.Read(example)
	require.NoError(t, err)
	file := compose(t, production, settings)
	cfg := bridgeOf(t, file, file.Services["bridge"])
	require.Empty(t, cfg.Warnings())
	require.Equal(t, "secret-of-admin-token", cfg.AdminToken)
	require.Equal(t, []string{"secret-of-braze-tokens"}, cfg.Connectors[0].Tokens)
	require.Equal(t, "secret-of-write-key", cfg.Connectors[0].WriteKey)
	require.Equal(t, settings["RUDDER_URL"], cfg.Connectors[0].RudderURL)
	require.Equal(t, config.SQLite, cfg.Queue.URL)
	profiles := map[string]string{}
	for name, s := range file.Services {
		require.NotContains(t, s.Image, "mock")
		profiles[name] = strings.Join(s.Profiles, " ")
	}
	require.Equal(t, map[string]string{"bridge": "", "postgres": "postgres", "prometheus": "monitoring", "grafana": "monitoring"}, profiles)
	defaults := compose(t, production, map[string]string{"RUDDER_URL": settings["RUDDER_URL"]})
	require.Equal(t, defaults.Services, file.Services)
	require.Equal(t, defaults.Secrets, file.Secrets)

	every, err := dotenv.Parse(strings.NewReader(regexp.MustCompile(`(?m)^#(\w+=)`).ReplaceAllString(casefile.Text(t, example), "$1")))
	require.NoError(t, err)
	file = compose(t, production, every)
	cfg = bridgeOf(t, file, file.Services["bridge"])
	require.Contains(t, cfg.Queue.URL, "@postgres:")
	checkQueue(t, file, file.Services["bridge"], cfg)
	used := map[string]string{"COMPOSE_PROFILES": every["COMPOSE_PROFILES"]} // Compose itself uses it
	for _, match := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(casefile.Text(t, production), -1) {
		used[match[1]] = every[match[1]]
	}
	require.Equal(t, every, used)
}

// The load balancer asks every bridge of its file, by readiness, and logs no query, as
// a key may stand there.
func TestLoadBalancer(t *testing.T) {
	file, bridge := compose(t, scale, nil), images(t)["bridge"]
	text := casefile.Text(t, mounted(t, file.Services["loadbalancer"], "/usr/local/etc/haproxy/haproxy.cfg"))
	var servers []string
	for name, s := range file.Services {
		if s.Image == namespace+"bridge" {
			servers = append(servers, "    server "+name+" "+name+":"+bridge.port(t, "BRIDGE_LISTEN"))
		}
	}
	require.ElementsMatch(t, servers, regexp.MustCompile(`(?m)^ +server .*$`).FindAllString(text, -1))
	require.Contains(t, text, "option httpchk GET /readyz\n")
	require.Contains(t, text, "check port "+bridge.port(t, "BRIDGE_ADMIN")+" ")
	require.Contains(t, text, "bind :"+strconv.Itoa(int(file.Services["loadbalancer"].Ports[0].Target))+"\n")
	require.Contains(t, text, "log-format ")
	require.NotRegexp(t, `log-format .*%(HU|HQ|r|\[)|option httplog`, text)
	tool(t, "haproxy", "-c", "-f", "haproxy/haproxy.cfg")
}

type prometheusFile struct {
	Global        map[string]time.Duration
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string                       `yaml:"job_name"`
		Authorization map[string]string            // credentials_file
		StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

// Prometheus finds the bridge, has its alerts and its admin token where it wants one;
// Grafana finds Prometheus and opens with the dashboard.
func TestMonitoringOfCompose(t *testing.T) {
	for path, authorization := range map[string]map[string]string{demo: nil, production: {"credentials_file": "/run/secrets/admin-token"}} {
		file := compose(t, path, nil)
		prometheus, grafana := file.Services["prometheus"], file.Services["grafana"]
		at, found := strings.CutPrefix(prometheus.Command[0], "--config.file=")
		require.True(t, found)
		source := mounted(t, prometheus, at)
		var cfg prometheusFile
		strict(t, casefile.Text(t, source), &cfg)
		require.Len(t, cfg.ScrapeConfigs, 1)
		scraped := cfg.ScrapeConfigs[0]
		require.Contains(t, casefile.Text(t, mounted(t, prometheus, cfg.RuleFiles[0])), `up{job="`+scraped.JobName+`"} == 0`)
		require.Equal(t, authorization, scraped.Authorization)
		require.Equal(t, authorization["credentials_file"], file.Services["bridge"].Environment.ToMapping()["BRIDGE_ADMIN_TOKEN_FILE"])
		require.Equal(t, []string{"bridge:" + images(t)["bridge"].port(t, "BRIDGE_ADMIN")}, scraped.StaticConfigs[0].Targets)
		tool(t, "promtool", "check", "config", "--syntax-only", source)

		const provisioning = "/etc/grafana/provisioning/"
		sources := casefile.Text(t, filepath.Join(mounted(t, grafana, provisioning+"datasources"), "prometheus.yaml"))
		require.Contains(t, sources, "url: http://prometheus:9090\n")
		require.Contains(t, sources, "timeInterval: "+cfg.Global["scrape_interval"].String())
		home := grafana.Environment.ToMapping()["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
		require.Equal(t, filepath.Join(file.WorkingDir, "grafana/bridge.json"), mounted(t, grafana, home))
		boards := casefile.Text(t, filepath.Join(mounted(t, grafana, provisioning+"dashboards"), "bridge.yaml"))
		require.Contains(t, boards, "path: "+filepath.Dir(home))
	}
	tool(t, "promtool", "check", "rules", "prometheus/alerts.yaml")
}
