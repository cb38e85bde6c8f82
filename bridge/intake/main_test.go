package intake

import (
	"os"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	os.Exit(m.Run())
}
