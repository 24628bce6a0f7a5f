# `make` prints what each target does. Needs Python 3.11 or later, git and make; everything else it sets up itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# uv of the machine if it has one, else one of our own beside the project
UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/.tools/bin/uv)
UV_VERSION := "uv>=0.13,<0.14"
# vale of the machine if it has one, else one of our own: the published program, or built by Go where that is out of reach
VALE := $(shell command -v vale 2>/dev/null || echo $(CURDIR)/.tools/vale/vale)
export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
RUN := $(UV) run --frozen --no-sync
# the benchmark's peers have an environment of their own, and so has whohas, which is measured as users install it
PEERS := $(CURDIR)/.cache/bench
INSTALLED := $(CURDIR)/.cache/installed
STRICT ?= 0
# what is slow or needs other programs has a marker, and runs in the target of that name alone (`markers` in pyproject.toml)
QUICK := not client and not engine and not long and not chaos and not browser
PYTEST := $(RUN) pytest -n 2 --dist worksteal
# the tests of `make test` draw the same each time; those of `properties` and `chaos` as this says
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif

# seconds for each parser, and the parsers; none: all
FUZZ_SECONDS ?= 600
FUZZ ?=

.PHONY: help setup demo test unit clients engines browser long chaos all-tests properties fuzz lint prose types coverage wheel installed bench bench-load bench-search bench-console bench-summary bench-scale bench-audit docs site clean

help: ## print this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(CURDIR)/.tools/bin/uv:
	@echo "Setting up uv in .tools"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; say which by: make PYTHON=/path/to/python3.12"; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		$(PYTHON) -m venv .tools && .tools/bin/pip --quiet --disable-pip-version-check install $(UV_VERSION); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m pip --quiet --disable-pip-version-check install --target .tools $(UV_VERSION); \
	else \
		echo "$(PYTHON) has neither venv nor pip: install one of them (Debian: python3-venv), or uv itself"; exit 1; \
	fi

.venv/.ready: pyproject.toml client/pyproject.toml uv.lock | $(UV)
	@$(UV) sync --frozen --all-extras --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

setup: .venv/.ready ## install the project and its tools into .venv

demo: .venv/.ready ## load examples/acme, run a report through the HTTP API, save it under ./reports
	@$(RUN) --no-dev python examples/demo.py

test: .venv/.ready ## run the tests of every behaviour; with STRICT=1 a skip is a failure, in the next targets too
	@STRICT=$(STRICT) $(PYTEST) -m "$(QUICK)" $(ARGS)

unit: .venv/.ready ## run tests/unit alone, in less than a minute on two cores: no process, no server
	@STRICT=$(STRICT) $(PYTEST) -m "$(QUICK)" tests/unit $(ARGS)

clients: .venv/.ready ## run the tests with the published SDKs and Keycloak (needs npm, Go, a JDK, Maven and Chromium; the first build of Go takes minutes)
	@STRICT=$(STRICT) $(RUN) pytest -n 2 --dist loadgroup -m client $(ARGS)

engines: .venv/.ready ## run more tests with Spark, Trino, Kafka, Lucene, veraPDF and LibreOffice (needs a JDK, Maven and soffice)
	@STRICT=$(STRICT) $(PYTEST) -m engine $(ARGS)

browser: .venv/.ready ## run the tests of the web console in Chromium (needs npm and Chromium)
	@STRICT=$(STRICT) $(RUN) pytest -m browser tests/browser $(ARGS)

long: .venv/.ready ## run the tests that take long: kills and outages, millions of rows, many examples
	@STRICT=$(STRICT) $(PYTEST) -m long $(ARGS)

properties: .venv/.ready ## run the tests that draw their input, from a new seed (SEED=N repeats one)
	@echo "To repeat what follows: make properties SEED=$(SEED)"
	@STRICT=$(STRICT) PROPERTIES_SEED=$(SEED) $(PYTEST) -m property --hypothesis-seed=$(SEED) \
		$(ARGS) || { echo "It was SEED=$(SEED)."; exit 1; }

fuzz: .venv/.ready ## draw inputs for each parser for ten minutes (FUZZ="query cron" for some, FUZZ_SECONDS=60, SEED=N)
	@echo "To repeat what follows: make fuzz SEED=$(SEED)"
	@PYTHONPATH=tests:. $(RUN) python -m fuzz --seconds $(FUZZ_SECONDS) --seed $(SEED) $(FUZZ) || \
		{ echo "It was SEED=$(SEED)."; exit 1; }

chaos: .venv/.ready ## kill and stop servers, workers and their database at random for some minutes (SEED=N repeats one)
	@STRICT=1 $(RUN) pytest -m chaos -s --chaos-seconds 120 --chaos-kills 100 --chaos-seed $(SEED) $(ARGS)

all-tests: test clients engines browser long chaos ## run every test

$(CURDIR)/.tools/vale/vale: tools/prose/go.mod | $(UV)
	@echo "Setting up vale in .tools"
	@UV_TOOL_DIR=$(@D)/tool UV_TOOL_BIN_DIR=$(@D) $(UV) tool install --quiet --force vale==3.25.1.0 && $@ --version >/dev/null 2>&1 || \
		{ rm -rf $(@D); cd tools/prose && go build -mod=mod -o $@ github.com/vale-cli/vale/v3/cmd/vale; } || \
		{ echo "vale is not installed: neither its release nor a build by Go 1.25 worked; see https://vale.sh"; exit 1; }
	@touch $@

lint: .venv/.ready prose ## format check, lint, types, the layers and prose
	@$(RUN) ruff format --check . && $(RUN) ruff check . && $(RUN) pyright && $(RUN) lint-imports

prose: .venv/.ready | $(VALE) ## check the English of documents, docstrings and messages
	@$(RUN) python tools/prose/check.py $(VALE)

coverage: .venv/.ready ## the tests with branch coverage of every process they start
	@$(RUN) coverage erase && $(RUN) coverage run -m pytest -n 2 -q -m "not client and not browser" && $(RUN) coverage combine -q && $(RUN) coverage report

wheel: .venv/.ready ## build both wheels into dist, install them into new environments, and run a report with each
	@rm -rf dist && $(UV) build --quiet --all-packages && tools/check_wheel.sh dist .venv/bin/python

installed: .venv/.ready
	@UV_PROJECT_ENVIRONMENT=$(INSTALLED) $(UV) sync --frozen --no-default-groups --python .venv/bin/python

bench: installed ## measure files beside their peers (ARGS="--rows 100000 --formats csv pdf" for less)
	@UV_PROJECT_ENVIRONMENT=$(PEERS) $(UV) sync --frozen --group bench --python .venv/bin/python
	@$(PEERS)/bin/python -m bench.files --python $(INSTALLED)/bin/python $(ARGS)

bench-load: installed ## measure loads (ARGS="--accounts 10000000" for other sizes)
	@$(INSTALLED)/bin/python -m bench.load $(ARGS)

bench-search: .venv/.ready ## measure search exports
	@$(RUN) python bench/search.py $(ARGS)

bench-console: .venv/.ready ## measure the web console in Chromium (needs npm; ARGS="--rows 100000 --tries 3" for less)
	@$(RUN) python -m bench.console $(ARGS)

bench-summary: .venv/.ready ## measure how much of a run its summary takes (ARGS="--accounts 100000" for less)
	@$(RUN) python -m bench.summary $(ARGS)

bench-scale: .venv/.ready ## measure how cost grows with size (ARGS="--accounts 20000 200000 --giant 200000" for less)
	@$(RUN) python -m bench.scale $(ARGS)

bench-audit: .venv/.ready ## measure what the audit log costs
	@$(RUN) python -m bench.audit $(ARGS)

docs: .venv/.ready ## write the reference pages from the code
	@$(RUN) python -m docs.generate

site: .venv/.ready ## build the documentation site into .cache/site; a warning is an error
	@$(RUN) sphinx-build --fail-on-warning --keep-going --quiet --nitpicky -d .cache/doctrees docs .cache/site $(ARGS)
	@echo "Open .cache/site/index.html"

clean: ## remove what the targets above made
	rm -rf .venv .tools .demo .cache reports
