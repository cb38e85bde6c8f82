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

// userTest is a test of another project that uses both fakes.
const userTest = `package user

import (
	"testing"

	"github.com/currentsbridge/currentsbridge/mockbraze"
	"github.com/currentsbridge/currentsbridge/mockrudder"
)

func TestBoth(t *testing.T) {
	rudder := mockrudder.Start(t)
	braze := mockbraze.Start(t)
	_, _ = rudder.URL, braze
}
`

// A module outside of this one that imports both fakes downloads few modules:
// those that its test is built of, and none of Docker, Kubernetes or Chromium.
func TestFakesNeedFewModules(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("go.mod", "module example.com/user\n\ngo 1.26.0\n\nrequire github.com/currentsbridge/currentsbridge v0.0.0\n\nreplace github.com/currentsbridge/currentsbridge => "+root+"\n")
	write("go.sum", read(t, "../go.sum"))
	write("user_test.go", userTest)
	list := exec.CommandContext(t.Context(), "go", "list", "-mod=mod", "-deps", "-test", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	list.Dir, list.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var problems strings.Builder
	list.Stderr = &problems
	output, err := list.Output()
	require.NoError(t, err, problems.String())
	modules := strings.Fields(string(output))
	slices.Sort(modules)
	modules = slices.DeleteFunc(slices.Compact(modules), func(path string) bool {
		return path == "example.com/user" || path == "github.com/currentsbridge/currentsbridge"
	})
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
