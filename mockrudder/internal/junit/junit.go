// Package junit writes reports that CI systems show as test results.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Suite counts events: Tests is all of them, Failures the bad ones.
type Suite struct {
	XMLName  xml.Name `xml:"testsuite"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Cases    []*Case  `xml:"testcase"`
	Out      string   `xml:"system-out"`
}

// Case has the findings of one event type.
type Case struct {
	Class    string     `xml:"classname,attr"`
	Name     string     `xml:"name,attr"`
	Failures []*Failure `xml:"failure,omitempty"`
	Error    *Failure   `xml:"error,omitempty"`
	Out      string     `xml:"system-out,omitempty"`
}

// Failure is one finding.
type Failure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Write writes the suite with its cases sorted, and one more, an error, for each input
// that could not be read.
func (s *Suite) Write(w io.Writer, unread []string) error {
	slices.SortStableFunc(s.Cases, func(a, b *Case) int {
		return strings.Compare(a.Class+" "+a.Name, b.Class+" "+b.Name)
	})
	for _, message := range unread {
		s.Cases = append(s.Cases, &Case{Class: "input", Name: "could not be read", Error: &Failure{Message: message}})
	}
	s.Tests, s.Errors = s.Tests+len(unread), len(unread)
	text, _ := xml.MarshalIndent(s, "", "  ")
	_, err := fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
