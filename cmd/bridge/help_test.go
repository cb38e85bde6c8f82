package main

import (
	"testing"

	"github.com/currentsbridge/currentsbridge/internal/cli/clitest"
)

func TestHelp(t *testing.T) { clitest.Help(t, newRoot) }
