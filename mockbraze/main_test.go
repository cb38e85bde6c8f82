package mockbraze

import (
	"testing"

	"github.com/gin-gonic/gin"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode) // gin lists its routes on standard output otherwise
	m.Run()
}
