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
	"maps"
	"os"
	"path/filepath"
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
	BOMFormat   string `json:"bomFormat"`
	SpecVersion string `json:"specVersion"`
	Version     int    `json:"version"`
	Metadata    struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
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

// write reads the binaries of a directory and writes the files beside them. The list has
// each binary and each module once, and the modules of each binary.
func write(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	doc := document{BOMFormat: "CycloneDX", SpecVersion: "1.5", Version: 1}
	libraries := map[string]component{}
	var sums bytes.Buffer
	for _, entry := range entries {
		name := entry.Name()
		if name == sumsFile || name == sbomFile {
			continue // of the last time
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		info, err := buildinfo.Read(bytes.NewReader(content))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		digest := sha256.Sum256(content)
		sum := hex.EncodeToString(digest[:])
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
		doc.Metadata.Component = module(info.Main.Path, info.Main.Version)
		doc.Components = append(doc.Components, component{Type: "application", Ref: name, Name: name, Version: info.Main.Version, Hashes: []hash{{"SHA-256", sum}}})
		parts := []component{module("std", strings.TrimPrefix(info.GoVersion, "go"))}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			parts = append(parts, module(m.Path, m.Version))
		}
		needs := dependency{Ref: name}
		for _, part := range parts {
			libraries[part.Ref] = part
			needs.DependsOn = append(needs.DependsOn, part.Ref)
		}
		doc.Dependencies = append(doc.Dependencies, needs)
	}
	if len(doc.Components) == 0 {
		return fmt.Errorf("%s: there is no binary in it", dir)
	}
	doc.Metadata.Component.Type = "application"
	doc.Components = append(doc.Components, slices.SortedFunc(maps.Values(libraries), func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })...)
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), sbomFile)
	return errors.Join(os.WriteFile(filepath.Join(dir, sbomFile), text, 0o644), os.WriteFile(filepath.Join(dir, sumsFile), sums.Bytes(), 0o644))
}

func module(path, version string) component {
	purl := "pkg:golang/" + path + "@" + version
	return component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
}
