package deploy

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// composeFile has the keys that the compose files use; any other is a mistake.
type composeFile struct {
	Hardened service `yaml:"x-hardened"`
	Bridge   service `yaml:"x-bridge"`
	Services map[string]service
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type service struct {
	Image           string
	Build           build
	PullPolicy      string `yaml:"pull_policy"`
	Profiles        []string
	Command         []string
	Environment     map[string]string
	Volumes         []string
	Secrets         []string
	Tmpfs           []string
	Ports           []string
	Healthcheck     healthcheck
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`
	DependsOn       any           `yaml:"depends_on"`
	ReadOnly        bool          `yaml:"read_only"`
	CapDrop         []string      `yaml:"cap_drop"`
	SecurityOpt     []string      `yaml:"security_opt"`
	Restart         string
	User            string
	ShmSize         string `yaml:"shm_size"`
}

type build struct{ Context, Dockerfile, Target string }

type healthcheck struct {
	Test              []string
	Interval, Timeout time.Duration
	Retries           int
	StartPeriod       time.Duration `yaml:"start_period"`
}

// after names the services that this one waits for.
func (s service) after(t *testing.T) []string {
	t.Helper()
	switch on := s.DependsOn.(type) {
	case nil:
		return nil
	case []any:
		var names []string
		for _, name := range on {
			names = append(names, name.(string))
		}
		return names
	case map[string]any:
		return slices.Collect(maps.Keys(on))
	default:
		t.Fatalf("depends_on is a %T", on)
		return nil
	}
}

// mounts are its volumes by where they are in the container.
func (s service) mounts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, volume := range s.Volumes {
		parts := strings.Split(volume, ":")
		require.GreaterOrEqual(t, len(parts), 2, volume)
		found[parts[1]] = parts[0]
	}
	return found
}

func composeFiles(t *testing.T) map[string]composeFile {
	t.Helper()
	files := map[string]composeFile{}
	for _, path := range []string{"compose.yaml", "compose.scale.yaml", production} {
		var file composeFile
		strict(t, path, &file)
		files[path] = file
	}
	return files
}

// production is the file without fakes.
const production = "compose.production.yaml"

// eachService calls check for every service of every file.
func eachService(t *testing.T, check func(t *testing.T, file composeFile, name string, s service)) {
	t.Helper()
	for path, file := range composeFiles(t) {
		for name, s := range file.Services {
			t.Run(path+"/"+name, func(t *testing.T) { check(t, file, name, s) })
		}
	}
}

func TestComposeHasTheServices(t *testing.T) {
	for path, want := range map[string][]string{
		"compose.yaml":       {"bridge", "grafana", "mockbraze", "mockrudder", "prometheus"},
		"compose.scale.yaml": {"bridge1", "bridge2", "loadbalancer", "mockbraze", "mockrudder", "postgres"},
		production:           {"bridge", "grafana", "postgres", "prometheus"},
	} {
		require.ElementsMatch(t, want, slices.Collect(maps.Keys(composeFiles(t)[path].Services)))
	}
}

func TestComposeImages(t *testing.T) {
	known := images(t)
	eachService(t, func(t *testing.T, _ composeFile, _ string, s service) {
		target, own := strings.CutPrefix(s.Image, namespace)
		if !own {
			require.Regexp(t, `^[\w/]+:v?\d+\.\d+`, s.Image, "other people's images have a version")
			require.NotContains(t, s.Image, "currentsbridge", "a registry has another image of this name")
			return
		}
		image, found := known[target]
		require.True(t, found, s.Image)
		require.Equal(t, "never", s.PullPolicy, "it is built here and never pulled")
		require.Equal(t, target, s.Build.Target)
		require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
		require.FileExists(t, filepath.Join(s.Build.Context, "go.mod"))
		require.Equal(t, append([]string{"CMD"}, image.healthcheck...), s.Healthcheck.Test)
	})
}

func TestComposeServicesAreHardened(t *testing.T) {
	eachService(t, func(t *testing.T, _ composeFile, _ string, s service) {
		require.True(t, s.ReadOnly)
		require.Equal(t, []string{"ALL"}, s.CapDrop)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt)
		require.Equal(t, "unless-stopped", s.Restart)
	})
}

var published = regexp.MustCompile(`^127\.0\.0\.1:\$\{(\w+):-(\d+)\}:(\d+)$`)

// Ports are on loopback, configurable and distinct, and the program listens on them.
func TestComposePorts(t *testing.T) {
	known := images(t)
	for path, file := range composeFiles(t) {
		variables, ports := map[string]bool{}, map[string]bool{}
		for name, s := range file.Services {
			for _, port := range s.Ports {
				match := published.FindStringSubmatch(port)
				require.NotNil(t, match, "%s: %s", path, port)
				require.False(t, variables[match[1]], match[1])
				require.False(t, ports[match[2]], match[2])
				variables[match[1]], ports[match[2]] = true, true
				if image, own := known[strings.TrimPrefix(s.Image, namespace)]; own {
					require.Contains(t, image.ports, match[3], name)
				}
			}
		}
	}
}

// Mounted files, declared volumes and the services in depends_on exist.
func TestComposeReferences(t *testing.T) {
	for path, file := range composeFiles(t) {
		used := map[string]bool{}
		for name, s := range file.Services {
			for _, other := range s.after(t) {
				require.Contains(t, file.Services, other, "%s: %s", path, name)
			}
			for _, source := range s.mounts(t) {
				if strings.HasPrefix(source, "./") {
					_, err := os.Stat(source)
					require.NoError(t, err, "%s: %s", path, name)
					continue
				}
				require.Contains(t, file.Volumes, source, path)
				require.False(t, used[source], "%s: %s has two owners", path, source)
				used[source] = true
			}
		}
		require.Len(t, used, len(file.Volumes), path)
	}
}

var defaulted = regexp.MustCompile(`^\$\{\w+:-(.*)\}$`)

// env is a service's environment with nothing set but the required variables.
func (s service) env(of image) map[string]string {
	env := maps.Clone(of.env)
	for name, value := range s.Environment {
		if strings.Contains(value, ":?") {
			value = "https://example.dataplane.rudderstack.com"
		}
		env[name] = defaulted.ReplaceAllString(value, "$1")
	}
	return env
}

// The bridges' configurations are valid, refer to existing services, and leave time
// for the grace period.
func TestComposeBridges(t *testing.T) {
	known := images(t)
	bridges := 0
	eachService(t, func(t *testing.T, file composeFile, _ string, s service) {
		if s.Image != namespace+"bridge" || file.Secrets != nil {
			return
		}
		bridges++
		env := s.env(known["bridge"])
		at := s.Command[slices.Index(s.Command, "--config")+1]
		cfg := bridgeConfig(t, s.mounts(t)[at], env)
		require.Greater(t, s.StopGracePeriod, cfg.Grace)
		require.NotEmpty(t, cfg.Connectors[0].Tokens)
		host, port := hostPort(t, cfg.Connectors[0].RudderURL)
		require.Equal(t, namespace+"mockrudder", file.Services[host].Image)
		require.Contains(t, known["mockrudder"].ports, port)
		_, volume := s.mounts(t)[cfg.DataDir]
		require.True(t, volume || len(s.Tmpfs) == 1 && strings.HasPrefix(s.Tmpfs[0], cfg.DataDir+":uid=65532,"), "nothing can be written to %s", cfg.DataDir)
	})
	require.Equal(t, 3, bridges)
}

// A queue in memory would lose what was acknowledged.
func TestComposeKeepsTheQueueOnAVolume(t *testing.T) {
	files := composeFiles(t)
	require.Equal(t, "bridge", files["compose.yaml"].Services["bridge"].mounts(t)["/data"])
	require.Equal(t, "bridge", files[production].Services["bridge"].mounts(t)["/data"])
	for _, path := range []string{"compose.scale.yaml", production} {
		require.Equal(t, "postgres", files[path].Services["postgres"].mounts(t)["/var/lib/postgresql/data"])
	}
}

// Compose itself reads the files, where it is installed.
func TestComposeReadsTheFiles(t *testing.T) {
	for path := range composeFiles(t) {
		t.Run(path, func(t *testing.T) {
			t.Setenv("RUDDER_URL", "https://rudder.example.com")
			tool(t, "docker-compose", "-f", path, "config", "-q")
		})
	}
}

// The bridges use PostgreSQL's name, user, password and database.
func TestComposePostgres(t *testing.T) {
	file := composeFiles(t)["compose.scale.yaml"]
	server := file.Services["postgres"]
	env := file.Services["bridge1"].env(images(t)["bridge"])
	cfg := bridgeConfig(t, "compose/bridge.scale.yaml", env)
	queue, err := url.Parse(cfg.Queue.URL)
	require.NoError(t, err)
	require.Equal(t, "postgres", queue.Hostname())
	require.Equal(t, "5432", queue.Port())
	require.Equal(t, server.Environment["POSTGRES_USER"], queue.User.Username())
	require.Equal(t, "/"+server.Environment["POSTGRES_DB"], queue.Path)
	require.Equal(t, defaulted.ReplaceAllString(server.Environment["POSTGRES_PASSWORD"], "$1"), cfg.Queue.Password)
	require.Contains(t, file.Bridge.after(t), "postgres")
}
