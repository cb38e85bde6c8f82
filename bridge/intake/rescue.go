package intake

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/gin-gonic/gin"
)

// rescue, deferred, keeps a bug in the handling of one request from ending the
// process, and from passing in silence. The log gets the place in the code;
// what the request held is nobody's business, neither its body nor its headers.
// to is nil where no connector is meant.
func (in *Intake) rescue(c *gin.Context, to *connector) {
	found := recover()
	if found == nil {
		return
	}
	if err, ok := found.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(found) // net/http's own way to end a connection
	}
	in.cfg.Log.Error("a request ended in a bug of the bridge; please report it",
		"connector", nameOf(to), "panic", panicText(found), "stack", string(debug.Stack()))
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	in.refuse(c, to, http.StatusInternalServerError, "the bridge failed at this request, which is a bug of the bridge; its log says where; send the batch again")
}

// panicText describes a panic. Only Go's own errors are sure to hold nothing of
// a request; of others the type must do.
func panicText(found any) string {
	if err, ok := found.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", found)
}
