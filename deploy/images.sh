#!/bin/sh
# Builds the images localhost/currentsbridge/{bridge,mockbraze,mockrudder,harness}.
#   LOCAL=0  in Docker, from the Go image that deploy/Dockerfile names
#   LOCAL=1  from binaries that this machine's Go builds; needs no registry
#   without  the first where the Go image can be had, and the second otherwise
# VERSION is the images' second tag and their label; without it git says.
set -eu
cd "$(dirname "$0")/.."

programs="bridge mockbraze mockrudder harness"
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
go_image=$(sed -n 's/^ARG GO_IMAGE=//p' deploy/Dockerfile)

docker version >/dev/null 2>&1 || {
  echo "no Docker engine answers: start Docker, or see that this user may use it" >&2
  exit 1
}

# patient CMD…: runs it for 30 seconds at most, where the machine can.
patient() {
  if command -v timeout >/dev/null; then timeout 30 "$@"; else "$@"; fi
}

if [ -z "${LOCAL:-}" ]; then
  LOCAL=0
  docker image inspect "$go_image" >/dev/null 2>&1 || patient docker manifest inspect "$go_image" >/dev/null 2>&1 || {
    echo "$go_image cannot be had: the binaries are built by this machine's Go"
    LOCAL=1
  }
fi

certificates() {
  for file in ${SSL_CERT_FILE:-} /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -f "$file" ]; then
      cp "$file" "$1"
      return
    fi
  done
  echo "no certificate authorities found: install ca-certificates, or set SSL_CERT_FILE" >&2
  exit 1
}

if [ "$LOCAL" = 0 ]; then
  for program in $programs; do
    docker build -f deploy/Dockerfile --target "$program" --build-arg "VERSION=$version" ${GOPROXY:+--build-arg "GOPROXY=$GOPROXY"} \
      -t "localhost/currentsbridge/$program" -t "localhost/currentsbridge/$program:$version" .
  done
  exit
fi

command -v "${GO:-go}" >/dev/null || { echo "Go 1.26 or newer is missing: see https://go.dev/dl/" >&2; exit 1; }
context=bin/image
rm -rf "$context"
mkdir -p "$context/data"
certificates "$context/ca-certificates.crt"
CGO_ENABLED=0 GOOS=linux GOARCH="${GOARCH:-$(docker version --format '{{.Server.Arch}}')}" \
  ${GO:-go} build -trimpath -ldflags '-s -w' -o "$context/" ./cmd/...
{
  printf 'FROM scratch AS build\nCOPY . /out/\n'
  sed -n '/^# The images\.$/,$p' deploy/Dockerfile
} >bin/local.Dockerfile
for program in $programs; do
  docker build -f bin/local.Dockerfile --target "$program" --build-arg "VERSION=$version" \
    -t "localhost/currentsbridge/$program" -t "localhost/currentsbridge/$program:$version" "$context"
done
