//go:build e2e

package container_test

import (
	"testing"

	"github.com/currentsbridge/currentsbridge/internal/dockertest"
)

func TestMain(m *testing.M) { dockertest.Main(m) }
