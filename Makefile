# Needs Python >= 3.11, pip and make; each target installs everything else.

PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
export UV_HTTP_TIMEOUT ?= 300
# Two data-parallel workers where there are two cores.
WORKERS := $(shell $(PYTHON) -c "import os; print(min(2, len(os.sched_getaffinity(0))))" 2>/dev/null || echo 1)

.PHONY: setup help demo test attacks faults soak check docs screenshots benchmark-check format clean

setup: .venv/.ready ## install uv.lock's packages into .venv

.venv/.ready: pyproject.toml uv.lock
	@command -v $(UV) >/dev/null || $(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .uv uv
	$(UV) sync --frozen --compile-bytecode --quiet --python $(PYTHON)
	@touch $@

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: setup ## run a study on bundled images: plan, train, log, report
	.venv/bin/l2rw-ray run studies/demo.yaml --set resources.workers=$(WORKERS)

test: setup ## every test except the fault tests; COVERAGE=--cov prints what they cover
	.venv/bin/python -m pytest --numprocesses 2 --dist loadgroup $(COVERAGE)

attacks: setup ## try what a stranger may: folders, files and packages that do harm; print which attacks hold
	.venv/bin/python -m pytest tests/attacks --timeout=600

faults: setup ## break what can break while a study runs, and count what survives
	.venv/bin/python -m pytest -m fault --fault-table=reports/faults.md
	L2RW_RAY_FUZZ=2000 .venv/bin/python -m pytest tests/attacks/test_fuzz.py --timeout=3600

soak: setup ## hundreds of small trials on two nodes while something is killed every 20 s
	.venv/bin/python -m pytest -m soak tests/faults --soak-report=reports/soak.json

check: setup ## lint, formatting, types and declared dependencies
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/deptry .

docs: setup ## build the documentation site into site/, strictly
	.venv/bin/python -m docs.build

screenshots: setup ## take the pictures of the documentation with Chromium; runs the demo study
	$(UV) pip install --quiet --python .venv/bin/python --group screenshots
	.venv/bin/python -m docs.screenshots

benchmark-check: setup ## check the cost of a reweighted step against its limits
	.venv/bin/python benchmarks/step_ratio_check.py

format: setup ## fix what ruff can fix
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean: ## remove the environment and caches
	rm -rf .venv .uv .cache site .mypy_cache .ruff_cache .pytest_cache
