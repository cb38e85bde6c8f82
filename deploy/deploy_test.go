package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/currentsbridge/currentsbridge/bridge/config"
	"github.com/currentsbridge/currentsbridge/internal/casefile"
)

// namespace is that of this project's images. It names no registry, so that no other
// image of the name is pulled.
const namespace = "localhost/currentsbridge/"

// strict decodes YAML into a value that must have every key.
func strict(t *testing.T, text string, into any) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(into), text)
}

// bridgeConfig reads a configuration as the bridge does, with a text of the file and
// of the environment replaced, such as a path by one of this machine.
func bridgeConfig(t *testing.T, path string, env map[string]string, text, by string) config.Config {
	local := casefile.Temp(t, "bridge.yaml", strings.ReplaceAll(casefile.Text(t, path), text, by))
	cfg, err := config.Load(config.Source{File: local, Env: func(name string) (string, bool) {
		value, set := env[name]
		return strings.ReplaceAll(value, text, by), set
	}})
	require.NoError(t, err, path)
	return cfg
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

// Every command line of these files names a command and flags that its program has, by
// the pages of --help that the tests of the programs compare with them.
func TestCommandLinesAreKnown(t *testing.T) {
	var lines [][]string
	for _, image := range images(t) {
		lines = append(lines, append(image.command(t, "ENTRYPOINT"), image.command(t, "CMD")...))
		if check := image.command(t, "HEALTHCHECK"); check != nil {
			lines = append(lines, check)
		}
	}
	eachService(t, func(_ *testing.T, _ *types.Project, s types.ServiceConfig) {
		if target, own := strings.CutPrefix(s.Image, namespace); own && len(s.Command) > 0 {
			lines = append(lines, append([]string{target}, s.Command...))
		}
	})
	eachOverlay(t, func(_ *testing.T, c rendered, _ string) {
		lines = append(lines, append([]string{"bridge"}, c.pod.Spec.Containers[0].Args...))
	})
	unit := unitFile(t, "systemd/bridge.service")
	for _, line := range append(unit["ExecStart"], unit["ExecReload"][0]) {
		lines = append(lines, strings.Fields(line))
	}
	for _, line := range lines {
		program := filepath.Base(line[0])
		help := casefile.Text(t, filepath.Join("../cmd", program, "help", program+"-"+line[1]+".txt"))
		for _, word := range line[2:] {
			if strings.HasPrefix(word, "--") {
				require.Regexp(t, `(?m)^ +`+regexp.QuoteMeta(word)+`\b`, help, line)
			}
		}
	}
	require.Greater(t, len(lines), 12)
}

var noSlug = regexp.MustCompile(`[^\w\- ]`)

// anchors are what a link may name in a page.
func anchors(t *testing.T, path string) map[string]bool {
	found := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(casefile.Text(t, path), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// Every page of the project leads to files and headings that are there.
func TestLinksOfThePages(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "../SECURITY.md", "../fixtures/gateway/README.md") {
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(casefile.Text(t, page), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			_, err := os.Stat(path)
			require.NoError(t, err, "%s: %s", page, link[1])
			if anchor != "" {
				require.True(t, anchors(t, path)[anchor], "%s: %s", page, link[1])
			}
		}
	}
	require.Contains(t, casefile.Text(t, "../README.md"), "](docs/deploy.md)")
}

// What the pages say is deployed are all files that there are.
func TestPageNamesEachPart(t *testing.T) {
	page := casefile.Text(t, "../docs/deploy.md")
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, ".go") && name != "go.mod" && name != "go.sum" {
			require.Contains(t, page, "deploy/"+entry.Name(), "the page says nothing of it")
		}
	}
}

// Who imports both fakes downloads few modules: those that they are built of, and none
// of Docker, Kubernetes or Chromium.
func TestFakesNeedFewModules(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./mockbraze", "./mockrudder")
	list.Dir, list.Env = "..", append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	output, err := list.Output()
	require.NoError(t, err)
	modules := strings.Fields(string(output))
	slices.Sort(modules)
	modules = slices.DeleteFunc(slices.Compact(modules), func(path string) bool { return path == "github.com/currentsbridge/currentsbridge" })
	t.Logf("%d modules: %s", len(modules), strings.Join(modules, " "))
	for _, path := range modules {
		require.NotRegexp(t, `docker|moby|testcontainers|k8s\.io|kustomize|chromedp|pgx|sqlite`, path)
	}
	require.LessOrEqual(t, len(modules), 15, "%s", modules)
}

// Each module is in go.work and in the Makefile, and the root replaces nothing,
// so that go install …/cmd/bridge@version works.
func TestModules(t *testing.T) {
	root := casefile.Text(t, "../go.mod")
	require.NotContains(t, root, "replace")
	require.NotContains(t, root, "\ntool")
	work, makefile := casefile.Text(t, "../go.work"), casefile.Text(t, "../Makefile")
	found := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "go.mod" {
			return err
		}
		dir, err := filepath.Rel("..", filepath.Dir(path))
		if err != nil || dir == "." || dir == "tools" {
			return err
		}
		found++
		require.Contains(t, work, "\t./"+dir+"\n")
		require.Regexp(t, `(?m)^NESTED := .*\b`+dir+`\b`, makefile)
		return nil
	}))
	require.Equal(t, strings.Count(work, "\t./"), found)
}
