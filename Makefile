# Every target works on a machine with only Python >= 3.11, pip and make.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.stamp
LOCKS := requirements/uv.txt requirements/lock.txt pyproject.toml

export DO_NOT_TRACK = 1
export MLFLOW_DISABLE_TELEMETRY = true
export OMP_WAIT_POLICY = passive

.PHONY: setup setup-lstm lock fmt check test stories docs demo honesty bench ci clean

setup: $(STAMP)

$(STAMP): $(LOCKS)
	@test -n "$(PYTHON)" || { echo "MarketLoop needs Python 3.11, 3.12 or 3.13; found none. Install one or say PYTHON=/path/to/python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements/lock.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c "import marketloop.loop.turn, marketloop.cli.retrain, mlflow.store.db.utils"
	@touch $(STAMP)

setup-lstm: setup ## what the recipe lstm learns with (85 MB to fetch, 360 MB on disk)
	$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements/lstm.txt

lock: ## resolve the newest allowed versions into requirements/lock.txt (hashes, no addresses)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--upgrade --group dev pyproject.toml -o requirements/lock.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--upgrade --constraint requirements/lock.txt requirements/lstm.in -o requirements/lstm.txt

fmt: setup
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: setup
	$(BIN)/pytest

stories: setup
	$(BIN)/pytest tests/stories

docs: setup
	$(BIN)/pytest tests/house/test_docs.py tests/stories/test_guide.py

demo: setup
	$(BIN)/marketloop demo

honesty: setup
	$(BIN)/python examples/honesty.py

bench: setup
	$(BIN)/marketloop bench features
	$(BIN)/marketloop bench skill

ci: setup
	$(BIN)/pytest
	$(MAKE) check

clean:
	rm -rf .venv demo
