package harness

import (
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/currentsbridge/currentsbridge/internal/gobuild"
)

// buildDir is where the bridge is built. TestMain makes and removes it.
var buildDir string

// BuildBridge builds it once, also for the examples of the outer package.
var BuildBridge = sync.OnceValues(func() (string, error) {
	return gobuild.Program(buildDir, "github.com/currentsbridge/currentsbridge/cmd/bridge")
})

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	var err error
	if buildDir, err = os.MkdirTemp("", "currentsbridge-harness-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(buildDir)
	if err := flag.Set("test.parallel", "4"); err != nil { // the tests wait more than they work
		panic(err)
	}
	m.Run()
}

func bridgeProgram(t *testing.T) string {
	t.Helper()
	path, err := BuildBridge()
	require.NoError(t, err)
	return path
}
