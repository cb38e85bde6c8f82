package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// largestSecret bounds what is read of a file that should hold a secret.
const largestSecret = 64 << 10

// secret reads a key, or the file that KEY_file names, without the line break at
// its end.
func (s *section) secret(name string, into *string) {
	s.text(name, into)
	file, ok := s.scalar(name+"_file", "the name of a file")
	if !ok {
		return
	}
	if _, both := s.values[s.name(name)]; both {
		s.bad(name+"_file", "cannot stand beside %s", s.name(name))
		return
	}
	text, err := readSecret(file)
	switch {
	case err != nil:
		s.bad(name+"_file", "%v", err)
	case text == "":
		s.bad(name+"_file", "%s is empty", file)
	}
	*into = text
	// What is wrong with the value is wrong in the file.
	s.problems.origins[s.key(name)] = origin{name: file, line: 1}
	if s.problems.bad[s.key(name+"_file")] {
		s.problems.bad[s.key(name)] = true
	}
}

// tokens reads token, tokens, token_file or token_files, whichever is there. A
// file holds a token a line.
func (s *section) tokens(into *[]string) {
	var token, file string
	var files []string
	s.text("token", &token)
	s.texts("tokens", into)
	s.text("token_file", &file)
	s.list("token_files", &files)
	var first string
	for _, name := range []string{"token", "tokens", "token_file", "token_files"} {
		if _, written := s.values[s.name(name)]; !written {
			continue
		}
		if first != "" {
			s.bad(name, "cannot stand beside %s; one of them must hold all tokens", s.name(first))
			continue
		}
		first = name
	}
	switch first {
	case "token":
		*into = []string{token}
	case "token_file":
		s.tokenFiles(first, []string{file}, into)
	case "token_files":
		s.tokenFiles(first, files, into)
	}
}

// tokenFiles reads the tokens of files and notes where each of them stands.
func (s *section) tokenFiles(name string, files []string, into *[]string) {
	*into = nil
	var places []origin
	for _, file := range files {
		text, err := readSecret(file)
		if err != nil {
			s.bad(name, "%v", err)
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				*into = append(*into, line)
				places = append(places, origin{name: file, line: i + 1})
			}
		}
	}
	if len(places) == 0 {
		s.bad(name, "holds no token")
	}
	for i, at := range places {
		key := indexed(s.key("tokens"), i)
		if len(places) == 1 {
			key = s.key("token")
		}
		s.problems.origins[key] = at
	}
}

// readSecret returns what a file holds, without the line breaks at its end.
func readSecret(name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no file %s", name)
	case err != nil:
		return "", err
	case info.Size() > largestSecret:
		return "", fmt.Errorf("%s is too large for a secret", name)
	}
	text, err := os.ReadFile(name)
	return strings.TrimRight(string(text), "\r\n"), err
}
