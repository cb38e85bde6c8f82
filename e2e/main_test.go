//go:build e2e

package e2e

import (
	"testing"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
)

func TestMain(m *testing.M) {
	dockertest.Main(m, dockertest.MockRudder, dockertest.MockBraze, dockertest.Bridge, dockertest.Toxiproxy)
}
