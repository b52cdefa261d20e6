# make demo: everything from an empty checkout to results/page.html. make help lists the rest.

PYTHON ?= python3
CORES ?= all
RESULTS ?= results
VENV := .venv
BIN := $(VENV)/bin
# Named after the lock's pins, written last: after an interrupted install or with other pins, .venv is made anew.
INSTALLED := $(VENV)/installed-$(shell grep -v '^ *\#' requirements.lock | cksum | cut -d' ' -f1)

# For what is no rule: histopair run, predict, audit, ...
COMMAND := $(BIN)/histopair

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster bench bench-gpu bar audit install lint format docs lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(COMMAND) ## install, then run the default workflow to results/page.html
	@$(COMMAND) run --cores $(CORES)
	@echo "The page: $(CURDIR)/results/page.html"

test: $(INSTALLED) ## install, then run all tests
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 2 --dist loadfile --no-loadscope-reorder

test-cluster: $(INSTALLED) ## run, kill and resume on Slurm, and run with conda, where they are there
	@$(BIN)/python -m pytest -rs tests/cluster

bench: $(INSTALLED) ## run the benchmarks on a quiet machine, and write benchmarks/README.md
	@$(BIN)/python benchmarks/report.py $(BENCH)

bar: $(INSTALLED) ## what must not get slower, in half a minute
	@$(BIN)/python benchmarks/bar.py

bench-gpu: $(INSTALLED) ## how near the embedding stage is to the bare forward pass of a GPU
	@$(BIN)/python benchmarks/feed.py

audit: $(COMMAND) ## recompute what the pages of results/ state, by other code
	@$(COMMAND) audit $(RESULTS)

install: $(COMMAND) ## create .venv from requirements.lock, with the command histopair

$(COMMAND): workflow/commands/histopair.sh $(INSTALLED)
	@install -m 755 $< $@

$(INSTALLED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "histopair needs Python 3.11 or newer; choose one with: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module; Debian and Ubuntu have it in the package python3-venv" >&2; exit 1; }
	@echo "Installing requirements.lock into $(VENV) (once; about 3 GB to download, 6 GB on disk)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

lint: $(INSTALLED) ## check style: ruff, snakefmt, snakemake --lint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/snakefmt --check --compact-diff Snakefile workflow
	@$(BIN)/snakemake --lint

format: $(INSTALLED) ## rewrite the code in this style
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet
	@$(BIN)/snakefmt Snakefile workflow

docs: $(INSTALLED) ## write docs/config.md, docs/presets.md and the editors' schema from the schema, the recipes and the presets
	@PYTHONPATH=workflow/scripts $(BIN)/python docs/generate.py

lock: $(INSTALLED) ## resolve pyproject.toml into requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --extra dev --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean: ## remove results and logs (the environment stays)
	@echo "Removing results/ and logs/"
	@rm -rf results logs
