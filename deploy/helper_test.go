package deploy

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

// namespace is that of this project's images. It names no registry, so that no other
// image of the name is pulled.
const namespace = "localhost/currentsbridge/"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// strict reads a file of YAML into a value that must have every key.
func strict(t *testing.T, path string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, path)))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into), path)
}

// bridgeConfig reads a configuration as the bridge does. replace, pairs of old and
// new text, replaces the container's paths by those of this machine.
func bridgeConfig(t *testing.T, path string, env map[string]string, replace ...string) config.Config {
	t.Helper()
	local := filepath.Join(t.TempDir(), "bridge.yaml")
	text := strings.NewReplacer(replace...).Replace(read(t, path))
	require.NoError(t, os.WriteFile(local, []byte(text), 0o600))
	source := config.Source{File: local, Env: func(name string) (string, bool) { value, ok := env[name]; return value, ok }}
	cfg, err := config.Load(t.Context(), source)
	require.NoError(t, err, path)
	return cfg
}

// hostPort splits an address or a URL.
func hostPort(t *testing.T, address string) (host, port string) {
	t.Helper()
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return host, port
}

// image is a stage of the Dockerfile that is an image.
type image struct {
	files       []string // what is copied into it
	ports       []string
	env         map[string]string
	healthcheck []string
	command     []string // entry point and arguments
	user        string
}

var (
	healthcheckLine = regexp.MustCompile(`^HEALTHCHECK .*CMD (\[.*\])$`)
	envPair         = regexp.MustCompile(`(\w+)=(\S+)`)
)

// images reads the stages of the Dockerfile that are images, by name.
func images(t *testing.T) map[string]image {
	t.Helper()
	_, text, found := strings.Cut(read(t, "Dockerfile"), "\n# The images.\n")
	require.True(t, found)
	all, name := map[string]image{}, ""
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if words[0] == "FROM" {
			require.Len(t, words, 4, line)
			name = words[3]
			require.True(t, words[1] == "scratch" || all[words[1]].user != "", line)
			from := all[words[1]]
			from.files = slices.Clone(from.files)
			all[name] = from
			continue
		}
		all[name] = all[name].with(t, line, words)
	}
	delete(all, "base")
	return all
}

// with is the image after one more instruction.
func (i image) with(t *testing.T, line string, words []string) image {
	t.Helper()
	exec := func(text string) (list []string) {
		require.NoError(t, yaml.Unmarshal([]byte(text), &list), "the form without a shell is needed: %s", line)
		return list
	}
	switch words[0] {
	case "COPY":
		for _, source := range words[1 : len(words)-1] {
			if file, ok := strings.CutPrefix(source, "/out/"); ok {
				i.files = append(i.files, file)
			}
		}
	case "EXPOSE":
		i.ports = words[1:]
	case "USER":
		i.user = words[1]
	case "ENV":
		i.env = map[string]string{}
		for _, pair := range envPair.FindAllStringSubmatch(line, -1) {
			i.env[pair[1]] = pair[2]
		}
	case "HEALTHCHECK":
		i.healthcheck = exec(healthcheckLine.FindStringSubmatch(line)[1])
	case "ENTRYPOINT":
		i.command = exec(strings.TrimPrefix(line, "ENTRYPOINT"))
	case "CMD":
		i.command = append(slices.Clone(i.command), exec(strings.TrimPrefix(line, "CMD"))...)
	case "ARG", "LABEL", "WORKDIR", "VOLUME":
	default:
		t.Fatalf("unknown instruction for an image FROM scratch: %s", line)
	}
	return i
}
