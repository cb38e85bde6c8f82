// Command generate writes the tables of settings in docs/operations.md, which
// are made from the tags of the configuration.
//
//	go run ./bridge/config/generate          write them
//	go run ./bridge/config/generate -check   write nothing; exit 1 if they are stale
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/currentsbridge/currentsbridge/bridge/config"
)

func main() {
	check := flag.Bool("check", false, "write nothing; exit 1 if the page is stale")
	page := flag.String("page", "docs/operations.md", "the page")
	flag.Parse()
	if err := run(*page, *check); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(page string, check bool) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text := string(old)
	for name, table := range map[string]string{"bridge": config.Table(false), "connector": config.Table(true)} {
		before, rest, found := strings.Cut(text, "<!-- settings of the "+name+", made by make generate -->\n")
		_, after, ended := strings.Cut(rest, "<!-- end of the settings -->\n")
		if !found || !ended {
			return fmt.Errorf("%s has no marks around the settings of the %s", page, name)
		}
		text = before + "<!-- settings of the " + name + ", made by make generate -->\n" + table + "<!-- end of the settings -->\n" + after
	}
	switch {
	case text == string(old):
		return nil
	case check:
		return errors.New("run make generate: the settings in " + page + " are stale")
	}
	return os.WriteFile(page, []byte(text), 0o644)
}
