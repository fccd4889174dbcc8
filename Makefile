# Nautes: run `make help` for what can be done.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# One setting for everything that is compiled, so that the build cache is shared:
# with cgo, or with -trimpath, each of the large dependencies would be built twice.
export CGO_ENABLED ?= 0
export GOFLAGS ?= -buildvcs=false

IMAGE ?= nautes:dev

# Where goroutines share state: these are tested with the race detector too. Their
# dependencies are few, which keeps the second, instrumented build of them short.
CONCURRENT := apply remote git engine receiver edit
RACE_PACKAGES := $(addprefix ./internal/,$(addsuffix /...,$(CONCURRENT)))
HAS_CC := $(shell command -v "$$(go env CC)")

# Tests against the code of others that would not fit into the product's module.
TEST_MODULES := hack/argocdtest hack/eventstest hack/certmanagertest

include hack/tools.mk

##@ Try and test

.PHONY: demo
demo: demo-tools build $(if $(filter gitea,$(FORGE)),gitea-tools) ## Show the main job on the real parts, and end; STAY=1 keeps everything up to play with, FORGE=gitea uses a real Gitea.
	go build -o bin/demo ./hack/demo
	STAY=$(STAY) FORGE=$(FORGE) bin/demo

.PHONY: demo-gitea
demo-gitea: ## The demo with a real Gitea.
	@$(MAKE) --no-print-directory demo FORGE=gitea

# The packages whose tests start Vaults, which keeps a core busy each.
WITH_VAULT := /controllers/vaulted$$|/internal/secrets/vault$$
# The package that sends the acceptance cases to the REST API, each to a world of its own.
CASES := /test/rest$$
# The packages whose tests start a Gitea, which takes minutes to build.
WITH_GITEA := /test/gitea$$
# The test of the acceptance cases that does so.
ON_GITEA := OnGitea$$
# The package whose tests start the programs of others that the demo runs.
RIG := /test/devstack$$
# What test leaves to the other targets.
ELSEWHERE := $(WITH_VAULT)|$(WITH_GITEA)|$(CASES)|$(RIG)

# The packages with the longest tests: they start first, so that no processor waits for
# them at the end.
LONGEST := ./controllers ./internal/build ./internal/apply ./test/api ./internal/mirror ./internal/edit ./internal/git
# Programs of tests live shortly, and collect garbage less often than by themselves. Their
# sources are vetted by make lint.
GO_TEST := GOGC=400 GOMEMLIMIT=1GiB go
TEST_FLAGS := -vet=off -timeout 20m
# Tests also wait, for API servers and for Git: more packages run together than there are
# processors.
TOGETHER := -p $(shell echo $$(($$(nproc) * 2)))

.PHONY: test
test: tools ## Run the tests; test-race, test-others, test-api, test-vault, test-gitea and test-rig have the rest.
	$(GO_TEST) test $(TOGETHER) $(TEST_FLAGS) $(LONGEST) $$(go list ./... | grep -vE '$(ELSEWHERE)')

.PHONY: test-race
test-race: tools ## Run the tests of the concurrent packages with the race detector, which needs a C compiler; RACE_PACKAGES=./... for all.
	@$(if $(HAS_CC),,echo "no C compiler: nothing can be tested with the race detector" >&2; exit 1)
	CGO_ENABLED=1 $(GO_TEST) test -race $(TEST_FLAGS) $(RACE_PACKAGES)

.PHONY: test-others
test-others: tools ## Run the tests against the code of others, which is in modules of its own: Argo CD, Argo Events and their kin.
	@for module in $(TEST_MODULES); do echo "go -C $$module test ./..."; $(GO_TEST) -C $$module test $(TEST_FLAGS) ./... || exit 1; done

.PHONY: test-vault
test-vault: tools ## Run the tests with a real Vault: the secret store, and the whole operator; they take minutes.
	$(GO_TEST) test $(TEST_FLAGS) -p 1 $$(go list ./... | grep -E '$(WITH_VAULT)')

.PHONY: test-api
test-api: tools ## Send the acceptance cases to the REST API, on an emulated GitLab and a real Git host, and once with an operator.
	$(GO_TEST) test $(TEST_FLAGS) -skip '$(ON_GITEA)' $$(go list ./... | grep -E '$(CASES)')

.PHONY: test-api-gitea
test-api-gitea: tools gitea-tools ## Send the acceptance cases to the REST API on a real Gitea, one after another.
	$(GO_TEST) test $(TEST_FLAGS) -run '$(ON_GITEA)' $$(go list ./... | grep -E '$(CASES)')

.PHONY: test-gitea
test-gitea: gitea-tools ## Run the tests with a real Gitea: our client of it, and the hooks and keys that it gets.
	$(GO_TEST) test $(TEST_FLAGS) $$(go list ./... | grep -E '$(WITH_GITEA)')

.PHONY: test-rig
test-rig: demo-tools ## Run the tests of the control planes and programs that tests and the demo start.
	$(GO_TEST) test $(TEST_FLAGS) $$(go list ./... | grep -E '$(RIG)')

.PHONY: bench
bench: tools $(TOOLS_PIPELINES) build ## Measure: the Go benchmarks, and the figures of the whole system where hack/bench has them.
	@packages=$$(grep -rl --include='*_test.go' --exclude-dir=.git '^func Benchmark' . | xargs -rn1 dirname | sort -u); \
	if [ -n "$$packages" ]; then go test -run '^$$' -bench . -benchmem $$packages; else echo "no package has benchmarks"; fi
	@if [ -d hack/bench ]; then go build -o bin/bench ./hack/bench && bin/bench; fi

##@ Check

# Every module, and the limits that no linter can hold. GOLANGCI_FLAGS=--fix mends some of it.
.PHONY: lint
lint: bin/golangci-lint ## Check the form: the linters of .golangci.yml, and the limits of hack/limits.
	go run ./hack/limits
	@for module in . api $(TEST_MODULES); do \
	  echo "golangci-lint in $$module"; \
	  (cd $$module && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml $(GOLANGCI_FLAGS) ./...) || exit 1; \
	done
	@bin/golangci-lint fmt --diff hack/tools

# The version of the program is pinned here, its database is the newest one.
.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities; needs the network.
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: verify
verify: lint ## Check the form, that what is generated is up to date, and the modules.
	hack/verify-generated.sh
	go mod tidy -diff
	@for module in api $(TEST_MODULES); do go -C $$module mod tidy -diff || exit 1; done
	go mod verify

##@ Make

.PHONY: generate
generate: bin/controller-gen ## Write deepcopy code, CRDs, RBAC roles and the API reference from the Go sources.
	cd api && ../bin/controller-gen object paths=./...
	cd api && ../bin/controller-gen crd paths=./... output:crd:dir=../config/crd/bases
	bin/controller-gen rbac:roleName=nautes-operator paths=./controllers/... paths=./internal/operator/... output:rbac:dir=config/rbac
	bin/controller-gen rbac:roleName=nautes-apiserver paths=./cmd/nautes-apiserver output:rbac:dir=config/apiserver
	go run ./hack/apidoc
	go run ./hack/openapi

.PHONY: build
build: ## Build the programs of cmd/ into bin/.
	go build -ldflags '-s -w' -o bin/ ./cmd/...

.PHONY: docker-build
docker-build: ## Build the container image; IMAGE=name:tag names it.
	docker build -t $(IMAGE) .

.PHONY: clean
clean: ## Remove everything that was built.
	rm -rf bin

.PHONY: help
help: ## Say what each target does.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ The real programs, built once
