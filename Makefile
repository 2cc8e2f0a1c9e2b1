# The few commands of the project; CONTRIBUTING.md says when to use which.
# Everything is installed into .venv from the lock files, with hashes; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
LOCK := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header $(UPGRADE)
CONFIG := $(wildcard config.toml)

.PHONY: help run test lint format demo cluster-demo bench corpus kill-test lock clean cluster-test simulation catalogues screenshots acceptance

help:
	@echo "make run        start Waybill (with ./config.toml when it exists, otherwise on 127.0.0.1:2525)"
	@echo "make demo       a small internet on this machine, with sample booking mails"
	@echo "make cluster-demo  two nodes on one PostgreSQL, one of them killed (needs Debian's postgresql)"
	@echo "make screenshots  photograph the six main pages for the README (needs Debian's chromium)"
	@echo "make test       format check, lint, types and all tests"
	@echo "make acceptance every page in five languages, light and dark, at three widths, and the long journeys (up to half an hour)"
	@echo "make lint       format check, lint and types alone"
	@echo "make format     put the code into form"
	@echo "make catalogues gather the texts of the dashboard for translation; says how many have none yet"
	@echo "make bench      compare with Postfix on this machine (a few minutes)"
	@echo "make corpus     how well answers and returned mail are understood, measured anew"
	@echo "make bench-postgres  what the store costs: SQLite, PostgreSQL, two nodes, Postfix (a quarter of an hour)"
	@echo "make simulation a week of mail, two outages, a backlog and a burst on a virtual clock (some minutes)"
	@echo "make kill-test  1,000 kills under load and 200 power cuts, none may lose a message (about half an hour)"
	@echo "make cluster-test  kill a node and cut one off, over PostgreSQL (a few minutes)"
	@echo "make lock       renew the lock files (needs uv); make lock UPGRADE=--upgrade takes newer versions"
	@echo "make clean      remove .venv and all caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Waybill needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python cannot make virtual environments here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-dev.lock
	@touch $@

run: $(RUN_STAMP)
	$(BIN)/waybill $(if $(CONFIG),-c $(CONFIG)) serve

demo: $(RUN_STAMP)
	$(BIN)/waybill demo

cluster-demo: $(DEV_STAMP)
	$(BIN)/python -m bench.cluster

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary

# Most tests wait for processes, so two run at a time on two cores. The last line printed is pytest's own summary.
test: lint
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --max-worker-restart 1 --dist loadfile

# One window goes over all pages, so the tests are few and long: each is given to whoever is free.
acceptance: $(DEV_STAMP)
	@$(BIN)/python -m pytest -m slow --numprocesses auto --dist load tests/acceptance

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

catalogues: $(DEV_STAMP)
	@$(BIN)/python -m dashboard.catalogues

screenshots: $(DEV_STAMP)
	@$(BIN)/python -m bench.screenshots

bench: $(DEV_STAMP)
	$(BIN)/python -m bench $(BENCH)

corpus: $(DEV_STAMP)
	@$(BIN)/python -m bench.corpus

bench-postgres: $(DEV_STAMP)
	$(BIN)/python -m bench.stores $(BENCH)

simulation: $(DEV_STAMP)
	@$(BIN)/python -m bench.simulation

kill-test: $(DEV_STAMP)
	WAYBILL_KILLS=1000 WAYBILL_POINTS=all WAYBILL_CUTS=200 $(BIN)/python -m pytest -rP \
	  tests/scenarios/test_kills.py tests/scenarios/test_kill_points.py tests/scenarios/test_power_cut.py

cluster-test: $(DEV_STAMP)
	$(BIN)/python -m pytest -m slow tests/scenarios/test_cluster_faults.py

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv, see its own installation page"; exit 1; }
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra dev --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
