package harness

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

// buildBridge builds the real bridge once for all tests of this package.
var buildBridge = sync.OnceValues(func() (string, error) {
	return gobuild.Program(os.Getenv(buildDir), "github.com/currentsbridge/currentsbridge/cmd/bridge")
})

// buildDir names the variable under which TestMain leaves the directory to build in.
const buildDir = "HARNESS_TEST_BUILD_DIR"

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "currentsbridge-harness-test-")
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

func bridgeProgram(t *testing.T) string {
	t.Helper()
	path, err := buildBridge()
	require.NoError(t, err)
	return path
}
