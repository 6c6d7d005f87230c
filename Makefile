SHELL := /bin/sh
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# Another name keeps the images of two checkouts apart: make test NAME=kiss-ha-mine
NAME ?= kiss-ha
export KISS_HA_NAME := $(NAME)
# A CA bundle for pip inside the build, as behind a company's proxy.
CA := $(firstword $(wildcard $(PIP_CERT) $(SSL_CERT_FILE)))
SECRET := id=ca,src=$(CA)
BUILD := docker build $(if $(CA),--secret $(SECRET))

# What the sidecar may do, as docker-compose.yml says.
CAPABILITIES := NET_ADMIN NET_RAW NET_BIND_SERVICE SETUID SETGID SYS_CHROOT SYS_NICE DAC_OVERRIDE KILL CHOWN FOWNER
# The tests' container sees the working tree read-only.
CONTAINER := docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges:true \
	--tmpfs /run --tmpfs /tmp:exec --volume "$(CURDIR):/src:ro"
TESTS := $(CONTAINER) --user "$(shell id -u):$(shell id -g)" --network none $(NAME):test
# What the tests' browser saw of the status page is kept there.
PICTURES := $(CURDIR)/build/pictures
INTEGRATION := $(CONTAINER) $(addprefix --cap-add ,$(CAPABILITIES)) \
	--volume "$(PICTURES):/pictures" \
	--tmpfs /etc/nginx --tmpfs /var/lib/ha --tmpfs /var/lib/nginx --tmpfs /small:size=1m \
	--sysctl net.ipv4.ip_unprivileged_port_start=1024 \
	--sysctl net.ipv6.conf.all.disable_ipv6=0 $(NAME):test
SCRIPTS := .ci/run $(wildcard config/bin/* config/compose/*/*/*.sh scripts/*) tests/hosts/boot
COMPOSE_FILES = $(shell find . -path ./$(VENV) -prune -o -name '*compose*.y*ml' -print)
# Other arguments of pytest than those for all tests: make e2e ARGS=tests/e2e/test_link.py
ARGS ?=
# Networks of hosts side by side, each of which wants half a processor: make e2e WORLDS=2
WORLDS ?= 4

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: prepare
prepare:
	@scripts/prepare

.PHONY: image
image: prepare ## build kiss-ha:latest
	@$(BUILD) --tag $(NAME):latest .

.PHONY: test-image
test-image: prepare ## build kiss-ha:test, the tools and the place for lint, unit and integration
	@$(BUILD) --target test --tag $(NAME):test .

# The stamp makes a half-finished environment start over.
$(VENV)/stamp: requirements-e2e.lock
	@rm -rf $(VENV)
	@python3 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

.PHONY: demo
demo: image test-image $(VENV)/stamp ## two nodes: a failover, a site that spreads, a mistake that does not
	@$(PYTHON) -m tests.demo up

.PHONY: demo-down
demo-down: $(VENV)/stamp ## stop what `make demo` left running
	@$(PYTHON) -m tests.demo down

.PHONY: test
test: ## all checks: lint, unit, integration, e2e, hosts
	@$(MAKE) --jobs=3 image test-image $(VENV)/stamp
	@$(MAKE) --jobs=2 --output-sync=target hosts lint unit integration
	@$(MAKE) e2e

.PHONY: lint
lint: test-image ## ruff, mypy, shellcheck, hadolint, promtool, docker compose config
	@$(TESTS) ruff check --no-cache .
	@$(TESTS) ruff format --no-cache --check .
	@$(TESTS) mypy sidecar tests/fuzz tests/unit tests/integration
	@$(TESTS) mypy --python-version 3.11 tests/bench tests/cluster tests/demo tests/e2e tests/hosts tests/life
	@$(TESTS) shellcheck $(SCRIPTS)
	@$(TESTS) hadolint Dockerfile
	@$(TESTS) promtool check rules config/prometheus/rules.yaml
	@$(TESTS) promtool test rules tests/prometheus/rules.test.yaml
	@directory=$$(mktemp -d); trap 'rm -r "$$directory"' EXIT; cp .env.example "$$directory/.env"; \
	for file in $(COMPOSE_FILES); do \
		docker compose --project-directory "$$directory" --file - config --quiet <"$$file"; \
	done

.PHONY: unit
unit: test-image ## tests of the pure core and the parsers
	@$(TESTS) pytest $(or $(ARGS),tests/unit --numprocesses=2 --cov=sidecar.core --cov-fail-under=100)
	@$(if $(ARGS),,$(TESTS) python -m tests.fuzz --histories=10000 --seed=0)

.PHONY: fuzz
fuzz: test-image ## random histories of 2 to 5 nodes on all idle cores: MINUTES=600, SEED=… to go on or for one again
	@$(subst --rm,--rm --cpu-shares 2,$(TESTS)) python -m tests.fuzz $(if $(MINUTES),--minutes=$(MINUTES)) $(if $(SEED),--seed=$(SEED))

.PHONY: integration
integration: test-image ## tests with real nginx, keepalived, sshd, rsync and a browser inside the image
	@mkdir -p "$(PICTURES)"
	@$(if $(ARGS),$(INTEGRATION) pytest $(ARGS),$(MAKE) --jobs=4 --output-sync=target $(ROOMS))

# Each has a container, as its tests share addresses and folders; most of the time they wait.
ROOMS := $(sort $(dir $(wildcard tests/integration/*/test_*.py)) $(wildcard tests/integration/test_*.py))
.PHONY: $(ROOMS)
$(ROOMS):
	@$(INTEGRATION) pytest $@

.PHONY: e2e
e2e: image test-image $(VENV)/stamp ## tests with real failovers between containers
	@$(PYTHON) -m pytest $(or $(ARGS),tests/e2e --numprocesses=$(WORLDS) --dist=worksteal -m 'not alone' --durations=10)
	@$(if $(ARGS),,$(PYTHON) -m pytest tests/e2e -m alone)

.PHONY: hosts
hosts: image test-image $(VENV)/stamp ## tests with whole hosts in namespaces: root only
	@$(PYTHON) -m pytest tests/hosts $(ARGS)

.PHONY: bench
bench: image test-image $(VENV)/stamp ## failover and sync beside what people use instead: ARGS=failover, sync, containers, soak
	@$(PYTHON) -m tests.bench $(ARGS)

.PHONY: life
life: image test-image $(VENV)/stamp ## three nodes to which anything happens: MINUTES=60, SEED=… for the same again
	@$(PYTHON) -m tests.life $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

.PHONY: docs
docs: test-image ## write the tables of docs/settings.md and docs/commands.md, and .env.example
	@$(subst /src:ro,/src,$(TESTS)) python -B -m sidecar.document docs/settings.md docs/commands.md .env.example

COMPILE := uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate --python-platform linux
.PHONY: lock
lock: $(VENV)/stamp ## resolve the newest versions into requirements*.lock
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@PATH="$(VENV)/bin:$$PATH" && \
	$(COMPILE) --python-version 3.13 --output-file requirements.lock pyproject.toml && \
	$(COMPILE) --python-version 3.13 --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml && \
	$(COMPILE) --python-version 3.11 --group e2e --constraint requirements-dev.lock \
		--output-file requirements-e2e.lock

.PHONY: clean
clean: ## remove the virtual environment, the root of hosts and the images (not the base image)
	@rm -rf $(VENV) $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kiss-ha
	@docker image rm --force $(NAME):latest $(NAME):test >/dev/null
