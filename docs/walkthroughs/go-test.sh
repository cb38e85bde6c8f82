#!/usr/bin/env bash
# A Go developer tests a receiver of Currents end to end in CI: a module of their
# own, both fakes as packages, and the test of the README as it stands there.
# Run it from a checkout. It leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '\n## %s\n' "$*"; }

say "A module of your own that requires the fakes; here from the checkout instead of a release"
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod
go mod init example.com/mine 2>/dev/null
go mod edit -require github.com/currentsbridge/currentsbridge@v0.0.0 -replace "github.com/currentsbridge/currentsbridge=$checkout"

say "The test of the README"
{
  echo 'package mine_test'
  awk '/^```go$/ {on=1; next} /^```$/ {on=0} on' "$checkout/README.md"
} >arrival_test.go
cat arrival_test.go
go mod tidy 2>/dev/null
go test -v ./...

say "How many modules it is built from"
go list -deps -test -f '{{with .Module}}{{.Path}}{{end}}' ./... | sort -u | wc -l
