package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// most is how many modules a user of both fakes may have to download.
const most = 15

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
	require.LessOrEqual(t, len(modules), most, "%s", modules)
}

// Each module is in go.work and in the Makefile, and the root replaces nothing,
// so that go install …/cmd/bridge@version works.
func TestModules(t *testing.T) {
	root := read(t, "../go.mod")
	require.NotContains(t, root, "replace")
	require.NotContains(t, root, "\ntool")
	work, makefile := read(t, "../go.work"), read(t, "../Makefile")
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
