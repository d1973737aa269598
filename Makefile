# Every verb does its own set-up; all that must be there is Python 3.11 or newer and make (3.81 or newer).

SHELL := /bin/sh
BIN := .venv/bin
GROUPS := api renderer metering local dev bench
DOCKERFILES = $(wildcard deploy/*.Dockerfile)
MIGRATIONS = $(wildcard services/*/migrations/*.sql)

.DEFAULT_GOAL := help
.PHONY: help run test faults bench soak pictures check format lock setup env template-version clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: .venv/.installed-local ## start everything here, make a demo account, send it one invoice (PORT=8080)
	@exec $(BIN)/python -m deploy.local.run

test: .venv/.installed-dev ## run the whole suite on throw-away stores (ARGS="-k words" for a part)
	@$(BIN)/python -m deploy.local.poppler
	@browser=$$($(BIN)/python -m deploy.local.browser) && \
		CHROMIUM_PATH="$$browser" $(BIN)/python -m pytest $(ARGS)

faults: .venv/.installed-dev ## break every process again and again and check each count (ARGS="--only Redis" for a part)
	@browser=$$($(BIN)/python -m deploy.local.browser) && \
		CHROMIUM_PATH="$$browser" PYTHONPATH=.:tests/support $(BIN)/python -m tests.faults.run $(ARGS)

bench: .venv/.installed-dev .venv/.installed-bench ## measure, print, and write docs/benchmarks.md and .data/bench.json
	@browser=$$($(BIN)/python -m deploy.local.browser) && \
		CHROMIUM_PATH="$$browser" PYTHONPATH=.:tests/support $(BIN)/python -m tests.bench.run $(ARGS)

soak: .venv/.installed-dev .venv/.installed-bench ## print for ten minutes and see whether memory stays flat (ARGS=minutes)
	@browser=$$($(BIN)/python -m deploy.local.browser) && \
		CHROMIUM_PATH="$$browser" PYTHONPATH=.:tests/support $(BIN)/python -m tests.bench.soak $(ARGS)

pictures: .venv/.installed-dev ## draw tests/pictures and the gallery anew, after a look that was meant to change
	@browser=$$($(BIN)/python -m deploy.local.browser) && export CHROMIUM_PATH="$$browser" && \
		PYTHONPATH=.:tests/support $(BIN)/python -m pictures && \
		$(BIN)/python -m services.renderer.gallery docs/gallery

check: .venv/.installed-dev ## lint, format, types, import contracts, migrations, compose file, Dockerfiles
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/squawk $(MIGRATIONS)
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/hadolint $(DOCKERFILES)

format: .venv/.installed-dev ## put the code into the house's form
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: ## pin requirements/*.txt anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@for group in $(GROUPS); do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header --group $$group --output-file requirements/$$group.txt || exit 1; \
	done

setup: .venv/.installed-dev ## install everything that run, test and check need
	@$(BIN)/python -m deploy.local.poppler
	@$(BIN)/python -m deploy.local.browser

env: ## write .env with random secrets for docker-compose.yml
	@sh deploy/make-env.sh

template-version: .venv/.installed-local ## print the version that shared/templates.py must name
	@$(BIN)/python -m services.renderer.version

clean: ## remove what these verbs have made, but not .data
	@rm -rf .venv .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed-%: requirements/%.txt deploy/local/venv.sh
	@sh deploy/local/venv.sh $*
