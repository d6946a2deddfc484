# What there is to do here. `make` alone prints this list; each target's help is the text after its two number signs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TIMEOUT      ?= 40m
PACKAGES     ?= ./...
BENCH        ?= .
BENCHTIME    ?= 3s
CHAOS        ?= 30m
SEED         ?= 0
CROWD        ?= 2
MODEL_EACH   ?= 90s
MODEL_TIME   ?= 30m
COMPOSE      ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

GOLANGCI     := v2.15.0
LINT          = $(shell golangci-lint version 2>/dev/null | grep -q 'version $(GOLANGCI:v%=%) ' && echo golangci-lint \
                  || echo go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI))

# Tests build programs too; a checkout that git refuses to read (another owner) must not stop them.
test bench soak chaos pairs compose-test cluster-test: export GOFLAGS := $(GOFLAGS) -buildvcs=false

.PHONY: help build test soak chaos pairs compose-test cluster-test model lint bench vm-test compose-check

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## bin/curfew: one static program
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/curfew ./cmd/curfew

# -count=1: the end-to-end tests build the program themselves, so a cached result would not know that it changed.
test: ## every test with the race detector; says first what this machine makes it leave out (with CI set: nothing)
	@. .ci/prepare && go test $$CURFEW_RACE -count=1 -timeout $(TIMEOUT) $(PACKAGES)

# One after the other: each of them measures.
soak: ## the long tests at their full size: gigabytes of output, thousands of children, 10 000 runs; some minutes
	go test -count=1 -v -timeout $(TIMEOUT) -parallel 1 -run '^(TestFloods|TestSwarms|TestManyRuns|TestPIDOne)$$' ./integration -soak

chaos: ## all traffics, one fault after the other for CHAOS=30m, chosen by SEED (printed; 0: another each time), with CROWD=2 times the producers; then the models
	go test -count=1 -v -timeout 0 -run '^TestChaos$$' ./integration -chaos $(CHAOS) -chaos.seed $(SEED) -chaos.crowd $(CROWD)
	@$(MAKE) --no-print-directory model

pairs: ## every traffic under every fault: ten to thirty minutes; prints the table of docs/guarantees.md
	go test -count=1 -v -timeout 2h -run '^TestPairs$$' ./integration -pairs

lint: ## go vet for Linux and macOS, and golangci-lint with the rules of .golangci.yml
	go vet ./...
	go vet -tags curfewtest ./...
	GOOS=darwin go vet ./...
	$(LINT) run

bench: ## how fast jobs go through: see docs/benchmarks.md
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -timeout $(TIMEOUT) ./integration

vm-test: ## what needs a kernel of its own, in a virtual machine: limits of a run by cgroup v2 controllers, as root and as an ordinary user
	.ci/vm-test

compose-check: ## is docker-compose.yml well formed, and does nats-server take compose.nats.conf?
	$(COMPOSE) config >/dev/null
	NATS_USER='"curfew"' NATS_PASSWORD='"a#b $$c"' go tool nats-server -t -c compose.nats.conf

compose-test: ## the compose stack for real: three workers, faults, the same judge; needs a Docker engine, takes minutes
	go test -count=1 -v -timeout 60m -run '^TestCompose$$' ./integration -compose

cluster-test: ## three NATS servers and Redis Sentinel, the long form: leaders killed, stopped and cut off, replicas promoted
	go test -count=1 -v -timeout $(TIMEOUT) -run '^(TestNATSCluster|TestSentinel|TestIsolatedPrimary)$$' ./integration -clusters

# The last results are kept: make -s model > integration/model/results.txt
model: ## the protocol's models, all configurations: MODEL_EACH for one, MODEL_TIME for all; up to 3 GB of memory
	nice -n 19 go run ./integration/model -each $(MODEL_EACH) -time $(MODEL_TIME)
