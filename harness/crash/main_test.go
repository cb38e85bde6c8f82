package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// program is the real bridge, built as it is shipped and with crash points.
type program struct{ plain, armed string }

// buildDir names the variable under which TestMain leaves the directory to build in.
const buildDir = "CRASH_TEST_BUILD_DIR"

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "currentsbridge-crash-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv(buildDir, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

var buildOnce = sync.OnceValues(func() (program, error) {
	dir := os.Getenv(buildDir)
	p := program{plain: filepath.Join(dir, "bridge"), armed: filepath.Join(dir, "bridge-armed")}
	for path, tags := range map[string]string{p.plain: "", p.armed: "crashpoints"} {
		out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "../../cmd/bridge").CombinedOutput()
		if err != nil {
			return p, fmt.Errorf("build the bridge: %w\n%s", err, out)
		}
	}
	return p, nil
})

func build(t *testing.T) program {
	t.Helper()
	p, err := buildOnce()
	require.NoError(t, err)
	return p
}
