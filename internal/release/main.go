// Command release writes two files for the binaries of a release: SHA256SUMS,
// as sha256sum reads it, and sbom.cdx.json, a CycloneDX list of the modules that
// each was built from. It reads the binaries themselves and no clock, so the same
// binaries give the same files.
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

const (
	sumsFile = "SHA256SUMS"
	sbomFile = "sbom.cdx.json"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: release DIR, with Go binaries and nothing else in it")
		os.Exit(1)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// document has the members of CycloneDX 1.5 that are used here.
type document struct {
	BOMFormat    string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

func write(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var binaries []binary
	for _, entry := range entries {
		if entry.Name() == sumsFile || entry.Name() == sbomFile {
			continue // of the last time
		}
		b, err := read(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		binaries = append(binaries, b)
	}
	if len(binaries) == 0 {
		return fmt.Errorf("%s: there is no binary in it", dir)
	}
	text, err := sbom(binaries)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, b := range binaries {
		fmt.Fprintf(&sums, "%s  %s\n", b.sum, b.name)
	}
	fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), sbomFile)
	return errors.Join(os.WriteFile(filepath.Join(dir, sbomFile), text, 0o644), os.WriteFile(filepath.Join(dir, sumsFile), sums.Bytes(), 0o644))
}

type binary struct {
	name, sum string
	info      *debug.BuildInfo
}

func read(path string) (binary, error) {
	b := binary{name: filepath.Base(path)}
	file, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return b, err
	}
	b.sum = hex.EncodeToString(sum.Sum(nil))
	if b.info, err = buildinfo.Read(file); err != nil {
		return b, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// sbom lists each binary and each module once, and the modules of each binary.
func sbom(binaries []binary) ([]byte, error) {
	main := binaries[0].info.Main
	doc := document{BOMFormat: "CycloneDX", SpecVersion: "1.5", Version: 1, Metadata: metadata{module(main.Path, main.Version)}}
	doc.Metadata.Component.Type = "application"
	libraries := map[string]component{}
	for _, b := range binaries {
		doc.Components = append(doc.Components, component{Type: "application", Ref: b.name, Name: b.name, Version: b.info.Main.Version, Hashes: []hash{{"SHA-256", b.sum}}})
		parts := []component{module("std", strings.TrimPrefix(b.info.GoVersion, "go"))}
		for _, m := range b.info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			parts = append(parts, module(m.Path, m.Version))
		}
		needs := dependency{Ref: b.name}
		for _, part := range parts {
			libraries[part.Ref] = part
			needs.DependsOn = append(needs.DependsOn, part.Ref)
		}
		doc.Dependencies = append(doc.Dependencies, needs)
	}
	doc.Components = append(doc.Components, slices.SortedFunc(maps.Values(libraries), func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })...)
	text, err := json.MarshalIndent(doc, "", "  ")
	return append(text, '\n'), err
}

func module(path, version string) component {
	purl := "pkg:golang/" + path + "@" + version
	return component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
}
