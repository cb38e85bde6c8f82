# Targets for people and for CI. `make help` lists them.
GO       ?= go
FUZZTIME ?= 30s
FUZZ     ?= $(sort $(dir $(shell grep -rl --include='*_test.go' '^func Fuzz' .)))
EVENTS   ?= 20000
COUNT    ?= 5
N        ?= 200
SEED     ?= 1
LOCAL    ?=
REPORT   ?= bin/e2e.json
DIST     ?= dist

PROGRAMS := bridge mockbraze mockrudder harness
PLATFORMS ?= linux-amd64 linux-arm64 darwin-amd64 darwin-arm64

# The modules of go.work but the root: who imports the root needs none of what
# they need.
NESTED := browser deploy e2e examples internal/dockertest mockbraze/container mockrudder/container

# The race detector needs a C compiler; without one the tests run all the same.
# SQLite, which is C turned into Go and used by one goroutine at a time, is not
# watched: that takes two thirds of the CPU of the queue's tests.
ifneq ($(shell command -v $${CC:-gcc} 2>/dev/null || command -v cc 2>/dev/null),)
RACE := -race -gcflags=github.com/ncruces/go-sqlite3-wasm/v6=-race=false
endif

# make lint vets; and what no debugger looks at is linked in half the time. The
# nested modules hold pages and files against the programs: without the race
# detector they share what make lint and make build have compiled.
TEST_BUILD := -vet=off -ldflags='-s -w'

# The pages are tested in a real browser; internal/browsertest looks for these.
CHROMIUM := $(firstword $(foreach name,chromium chromium-browser google-chrome google-chrome-stable chrome,$(shell command -v $(name) 2>/dev/null)))

.DEFAULT_GOAL := help
.PHONY: help build release checksums image demo up walkthroughs test soak crash e2e bench fuzz lint generate tidy clean go

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Settings, such as make demo EVENTS=$(EVENTS): COUNT=$(COUNT) FUZZTIME=$(FUZZTIME) N=$(N) PLATFORMS=\"$(PLATFORMS)\" DIST=$(DIST) REPORT=$(REPORT) SEED=$(SEED)"

go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or newer is missing: see https://go.dev/dl/"; exit 1; }

build: go ## the four programs, into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -ldflags '-s -w' -o bin/ $(addprefix ./cmd/,$(PROGRAMS))

# No path and no time of this machine gets into them: the same commit and the
# same Go give the same bytes anywhere.
release: go ## static binaries of the four programs for PLATFORMS, with checksums and SBOMs, into dist/
	rm -rf dist && mkdir dist
	@for platform in $(PLATFORMS); do for program in $(PROGRAMS); do \
	  echo "$$program-$$platform"; \
	  CGO_ENABLED=0 GOFLAGS= GOOS=$${platform%-*} GOARCH=$${platform#*-} \
	    $(GO) build -trimpath -ldflags '-s -w -buildid=' -o dist/$$program-$$platform ./cmd/$$program || exit 1; \
	done; done
	@$(MAKE) checksums DIST=dist

# The SBOM names its tool without the hashes, which differ from system to system:
# the same binaries give the same files.
checksums: go ## an SBOM of each binary PROGRAM-OS-ARCH in DIST, and SHA256SUMS of all
	@mkdir -p bin
	CGO_ENABLED=0 GOWORK=off $(GO) -C tools build -o ../bin/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	@cd $(DIST) && rm -f SHA256SUMS *.cdx.json && for binary in *; do \
	  platform=$${binary#*-}; \
	  sbom=$$(GOOS=$${platform%-*} GOARCH=$${platform#*-} $(CURDIR)/bin/cyclonedx-gomod bin -json -std -noserial -notimestamp $$binary) || exit 1; \
	  printf '%s\n' "$$sbom" | sed '/"tools": /,/"component": /{/"hashes": /,/]/d;}' >$$binary.cdx.json; \
	done && sums=$$($$(command -v sha256sum || echo shasum -a 256) *) && printf '%s\n' "$$sums" >SHA256SUMS

image: ## the four images of deploy/Dockerfile; LOCAL=1: from binaries built here, without a registry
	LOCAL=$(LOCAL) GO=$(GO) deploy/images.sh

demo: build ## EVENTS events of every type through fake Braze, bridge and fake RudderStack, with faults, and a verdict
	bin/harness run --events $(EVENTS) --faults network

up: build ## all three programs together until Ctrl-C
	bin/harness up

walkthroughs: build ## what docs/walkthroughs has for each kind of user, and the example in Python
	@command -v python3 >/dev/null || { echo "make walkthroughs: Python 3.9 or newer is missing: install python3"; exit 1; }
	cd examples/python && BIN=$(CURDIR)/bin python3 -m unittest
	@for script in docs/walkthroughs/*.sh; do echo "== $$script"; $$script || { echo "$$script failed"; exit 1; }; done

test: go ## every test that needs no container, with the race detector where a C compiler is
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	@test -n "$(CHROMIUM)" || echo "no Chromium here: the pages are not tested; install the package chromium"
	$(GO) test $(RACE) $(TEST_BUILD) -timeout 20m ./... ./examples/...
	CGO_ENABLED=0 $(GO) test $(TEST_BUILD) -timeout 20m $(patsubst %,./%/...,$(filter-out examples,$(NESTED)))

# The packages with a long form declare the flag -soak.
soak: go ## the long forms of tests: thousands of seeds, storms, minutes of load
	@for dir in $$(grep -rl --include='*_test.go' '"soak"' . | xargs -n 1 dirname | sort -u); do \
	  $(GO) test $(RACE) $(TEST_BUILD) -count 1 -timeout 90m $$dir -soak || exit 1; \
	done

crash: go ## SIGKILL the bridge N times under load and cut the power under its queue 5 x N times, from SEED
	$(GO) test -v -count 1 -timeout 0 -run TestKills ./harness/crash -kills $(N) -seed $(SEED)
	$(GO) test -v -count 1 -timeout 0 -run TestPowerCuts ./bridge/queue -cuts $$((5 * $(N))) -seed $(SEED)

# The images are built here and come from no registry, and the tests clean up
# themselves: the reaper of testcontainers, an image from Docker Hub, has nothing
# to do. Ports are on loopback unless Docker runs elsewhere.
E2E_PACKAGES := ./internal/dockertest/... ./mockrudder/container/... ./mockbraze/container/... ./e2e/...
E2E_ENV := TESTCONTAINERS_RYUK_DISABLED=$${TESTCONTAINERS_RYUK_DISABLED:-true} \
  TESTCONTAINERS_HOST_OVERRIDE=$${TESTCONTAINERS_HOST_OVERRIDE:-$(if $(filter tcp:% ssh:% http:% https:%,$(DOCKER_HOST)),,127.0.0.1)} \
  E2E_REPORT=$(abspath $(REPORT))

e2e: go ## the programs in containers: killed, cut off, slowed down, and a verdict; figures in REPORT; needs Docker
	@docker info >/dev/null 2>&1 || { echo "make e2e: Docker is missing or does not run: install it, and start dockerd"; exit 1; }
	@mkdir -p $(dir $(REPORT)) && rm -f $(REPORT)
	$(E2E_ENV) CGO_ENABLED=0 $(GO) test -tags e2e $(TEST_BUILD) -v -count 1 -p 1 -parallel 3 -timeout 8m $(E2E_PACKAGES)

bench: go ## benchmarks of scan, mapping, queue, delivery and the whole path, COUNT times
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) ./bridge/...

# A package is built once for all its fuzz tests. They are found by name: asking
# each package for them would build the tests of all.
fuzz: go ## each fuzz test of the directories FUZZ for FUZZTIME
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	for dir in $(FUZZ); do \
	  pkg=$$($(GO) list $$dir) && $(GO) test -c -fuzz=. $(TEST_BUILD) -o $$tmp/fuzz.test $$dir || exit 1; \
	  for target in $$(cd $$dir && $$tmp/fuzz.test -test.list '^Fuzz'); do \
	    echo "$$pkg $$target"; \
	    (cd $$dir && $$tmp/fuzz.test -test.run '^$$' -test.fuzz "^$$target$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 10x \
	      -test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/$$pkg") || exit 1; \
	  done; \
	done

lint: go ## gofmt, golangci-lint (with go vet and staticcheck in it), go mod tidy, and that no file is huge
	@unformatted=$$($$($(GO) env GOROOT)/bin/gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	@large=$$(git ls-files -z | xargs -0 sh -c 'find "$$@" -size +1024k' sh); test -z "$$large" || { echo "larger than 1 MB, a program by mistake? $$large"; exit 1; }
	@mkdir -p bin
	CGO_ENABLED=0 GOWORK=off $(GO) -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@for dir in . $(NESTED); do echo "golangci-lint in $$dir"; \
	  (cd $$dir && CGO_ENABLED=0 $(CURDIR)/bin/golangci-lint run -c $(CURDIR)/.golangci.yml --build-tags e2e ./...) || exit 1; done
	@for dir in . tools $(NESTED); do (cd $$dir && GOWORK=off $(GO) mod tidy -diff) || { echo "make tidy changes $$dir/go.mod or go.sum"; exit 1; }; done

generate: go ## JSON Schemas from the glossary, fixtures from the generator, the settings in docs/operations.md
	CGO_ENABLED=0 $(GO) test ./bridge/config -run TestSettingsAreDocumented -update
	CGO_ENABLED=0 $(GO) generate ./schemas ./mockbraze ./harness

tidy: go ## go mod tidy in every module
	@for dir in . tools $(NESTED); do (cd $$dir && GOWORK=off $(GO) mod tidy) || exit 1; done

clean: ## remove what make build made
	rm -rf bin dist
