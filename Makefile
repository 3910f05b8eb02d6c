# The interface of the project; every target sets up what it needs.
PYTHON ?= python3.11
BIN := .venv/bin
# what is imported is compiled once, where the environment says otherwise too: or all that follows does it again
export PYTHONDONTWRITEBYTECODE =
# uv installs four times as fast as pip. It reads no configuration of pip's: of that, `index-url` and `find-links` hold all the same
PIP_SETTING = $$($(BIN)/pip config list | sed -n "s/^[^=]*\.$(1)='\(.*\)'/\1/p" | head -1 | sed 's/\\n/ /g' | xargs | tr ' ' ',')
UV = UV_SYSTEM_CERTS=1 UV_DEFAULT_INDEX="$(call PIP_SETTING,index-url)" UV_FIND_LINKS="$(call PIP_SETTING,find-links)" \
	$(BIN)/uv --quiet pip
# compat: the folder itself on the path, or dbt would not find the plugin in it
PROJECT = --no-deps --no-build-isolation --editable . --config-setting editable_mode=compat
ENCODE = EMBEDDING_STORE_CONTENT_KEY="$${EMBEDDING_STORE_CONTENT_KEY:-$$(cat .content_key)}" $(BIN)/encoder-job run
CHECKS := lint-sql lint-files lint-bigquery lint-manifest
# checks never touch the store, the landing folder or the compiled project of the demo, nor each other's;
# dbt loses a model whose disabled namesake was edited when it parses in part
CHECKED = target/checks/$(@:lint-%=%)
CHECKING = EMBEDDING_STORE_DUCKDB=$(CHECKED)/store.duckdb EMBEDDING_STORE_LANDING=target/checks/landing \
	DBT_TARGET_PATH=$(CHECKED) DBT_LOG_PATH=$(CHECKED)/logs DBT_PROFILES_DIR=target/checks/profiles DBT_PARTIAL_PARSE=false

.PHONY: help setup landed demo test test-bigquery lint $(CHECKS) lint-duckdb format lock bench docs clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: .venv/installed profiles.yml  ## make .venv from the lock file, and profiles.yml if there is none

.venv/installed: requirements.lock requirements-files.lock pyproject.toml
	$(PYTHON) -m venv .venv
	grep '^uv==' requirements.lock | xargs $(BIN)/pip install --quiet
	@$(UV) install --python .venv --requirement requirements.lock
	@$(UV) install --python .venv --no-deps --requirement requirements-files.lock
	@$(UV) install --python .venv $(PROJECT)
	@touch $@

# the emulator of BigQuery needs Python 3.13; under pyenv the command exists only for a version that is switched on
PYTHON_EMULATOR ?= PYENV_VERSION=$(shell pyenv latest 3.13 2>/dev/null) python3.13

.venv-bigquery/installed: tests/python/warehouse/emulator/requirements.lock | .venv/installed
	@if $(PYTHON_EMULATOR) --version > /dev/null 2>&1; then \
		$(PYTHON_EMULATOR) -m venv .venv-bigquery && \
		$(UV) install --python .venv-bigquery --requirement $< && touch $@; \
	else echo "SKIPPED: no Python 3.13, so nothing is tested on BigQuery's emulator"; fi

# Beam needs older libraries than the project; its workers run the encoder job and nothing else
.venv-beam/installed: requirements-beam.lock pyproject.toml | .venv/installed
	$(PYTHON) -m venv .venv-beam
	@$(UV) install --python .venv-beam --requirement requirements-beam.lock
	@$(UV) install --python .venv-beam $(PROJECT)
	@touch $@

profiles.yml:
	cp profiles.yml.example $@

.content_key:
	@umask 077 && $(PYTHON) -c 'import secrets; print(secrets.token_hex(32))' > $@

landed: setup .content_key
	$(BIN)/encoder-job sample
	$(ENCODE) --source sample/objects.parquet
	$(BIN)/encoder-job sample --modality image
	$(ENCODE) --modality image --source sample/images.parquet

demo: landed  ## fetch real reviews and images, encode them, build everything, print how good the models are
	$(BIN)/dbt build --selector nightly
	@$(BIN)/python demo/report.py

test: setup  ## everything that must pass before a change lands
	@$(MAKE) --jobs=2 $(CHECKS) .venv-bigquery/installed .venv-beam/installed
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-bigquery: setup .venv-bigquery/installed  ## the BigQuery target alone, on the emulator
	$(BIN)/pytest --numprocesses auto --dist loadfile tests/python/warehouse/test_bigquery*.py

lint: setup  ## style of Python, YAML and SQL, and the conventions on the manifest
	@$(MAKE) --jobs=2 $(CHECKS)

lint-files: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/yamllint --strict .

target/checks/profiles/profiles.yml: profiles.yml.example | target/checks/landing
	@mkdir -p $(@D)
	@cp $< $@

target/checks/landing:
	@mkdir -p $@

lint-duckdb lint-bigquery: setup target/checks/profiles/profiles.yml
	$(CHECKING) $(BIN)/dbt --quiet --warn-error parse --target $(@:lint-%=%)

lint-manifest: lint-duckdb
	$(BIN)/dbt-bouncer run

# the SQL scorer, so that no SQL file is disabled
lint-sql: setup target/checks/profiles/profiles.yml
	$(CHECKING) EMBEDDING_STORE_SCORER=sql $(BIN)/sqlfluff lint models tests --processes 2 --disable-progress-bar

format: setup  ## mend the style of Python
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# whichever build of torch is at hand, as the lock file does not tell
COMPILE = $(UV) compile --python .venv --no-header --no-annotate --upgrade-package torch pyproject.toml

lock: setup  ## pin every library anew from pyproject.toml, and those of the encoder job alone, without and with Beam
	@mkdir -p target
	$(COMPILE) --extra warehouse --extra dev --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --output-file requirements-job.lock
	sed -E '/^(pillow|pyarrow)==/d' requirements-job.lock > target/constraints.txt
	$(COMPILE) --extra beam --constraint target/constraints.txt --output-file requirements-beam.lock
	echo orbital | $(subst pyproject.toml,-,$(COMPILE)) --output-file benchmarks/requirements-orbital.lock
	sed -i.bak -E 's/\+cpu$$//' requirements*.lock && rm requirements*.lock.bak

# orbital needs older libraries than the project, and is there to be compared with
.venv-orbital/installed: benchmarks/requirements-orbital.lock | .venv/installed
	$(PYTHON) -m venv .venv-orbital
	@$(UV) install --python .venv-orbital --requirement $<
	@touch $@

bench: landed .venv-beam/installed .venv-orbital/installed  ## how good and how fast, side by side with what one would do instead (minutes)
	$(BIN)/python benchmarks/split_salts.py
	$(BIN)/python benchmarks/encoding.py
	$(BIN)/python benchmarks/scale_out.py
	$(BIN)/python benchmarks/datasets.py
	$(BIN)/python benchmarks/training.py
	.venv-orbital/bin/python benchmarks/sql_size.py --ours $$($(BIN)/python benchmarks/training.py --sql-size)

docs: setup  ## dbt's documentation as one HTML file, target/static_index.html
	$(BIN)/dbt docs generate --static

clean:  ## remove what the demo made, and state/, but no environment, profile or key
	rm -rf landing sample state target logs embedding_store.duckdb embedding_store.duckdb.wal
