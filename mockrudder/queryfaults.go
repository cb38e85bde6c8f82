package mockrudder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

func writeFaults(w http.ResponseWriter, list []Fault) {
	writeJSON(w, http.StatusOK, map[string][]Fault{"faults": list})
}

func (s *Server) getFaults(c *gin.Context) { writeFaults(c.Writer, s.Faults()) }

// putFaults replaces the list. It takes {"faults":[…]}, a bare list or one fault.
func (s *Server) putFaults(c *gin.Context) {
	list, err := readFaults(c)
	if err == nil {
		err = s.SetFaults(list...)
	}
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, err.Error())
		return
	}
	writeFaults(c.Writer, s.Faults())
}

// postFault adds one fault and answers with it, so that the client learns its id.
func (s *Server) postFault(c *gin.Context) {
	list, err := readFaults(c)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("want one fault, not %d", len(list))
	}
	var added Fault
	if err == nil {
		added, err = s.faults.add(list[0])
	}
	if err != nil {
		writeError(c.Writer, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(c.Writer, http.StatusCreated, added)
}

func (s *Server) deleteFault(c *gin.Context) {
	if !s.RemoveFault(c.Param("id")) {
		writeError(c.Writer, http.StatusNotFound, fmt.Sprintf("no fault %q", c.Param("id")))
		return
	}
	writeFaults(c.Writer, s.Faults())
}

func readFaults(c *gin.Context) ([]Fault, error) {
	const maxFaults = 1 << 20 // bytes
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxFaults))
	if err != nil {
		return nil, fmt.Errorf("reading the faults: %w", err)
	}
	text := strings.TrimSpace(string(body))
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) == nil {
		if inner, wrapped := members["faults"]; wrapped && len(members) == 1 {
			text = strings.TrimSpace(string(inner))
		}
	}
	if text == "" {
		return nil, errors.New("faults: the body is empty; [] is for no faults")
	}
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	var list []Fault
	if err := decodeStrictly(strings.NewReader(text), &list); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	return list, nil
}

// decodeStrictly reads one JSON document with no fields but known ones, and
// nothing behind it: half of what someone meant is not put in force.
func decodeStrictly(r io.Reader, to any) error {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return err
	}
	switch _, err := decoder.Token(); {
	case err == nil:
		return errors.New("there is more behind the JSON")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
