# Two commands do everything: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-model test lint clean

$(VENV)/core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "corpuskit needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[enrich,report]'
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# On Linux it ends with the real vLLM annotating paragraphs of the corpus; elsewhere it has no build for the CPU.
demo: $(VENV)/core
	$(BIN)/corpuskit demo --output demo-corpus
ifeq ($(shell uname),Linux)
	@$(MAKE) --no-print-directory demo-model
	$(BIN)/corpuskit enrich demo-corpus --prompt biomed-enriched-fr --serve demo --min-words 30 --share 0.25 --output demo-labels
	$(BIN)/corpuskit report demo-corpus --annotations demo-labels --output demo-report.html
else
	$(BIN)/corpuskit report demo-corpus --output demo-report.html
endif

# The real vLLM on the CPU with a tiny model, 3 GB in ~/.cache/corpuskit; does nothing where it is installed.
demo-model: $(VENV)/core
	$(BIN)/python -m corpuskit.enrich.demo_model

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# With CORPUSKIT_DEMO_SERVER=1 the real server is installed first, for the tests that want it.
test: lint $(if $(CORPUSKIT_DEMO_SERVER),demo-model)
	$(BIN)/pytest -n auto --dist loadgroup

clean:
	rm -rf $(VENV) demo-corpus demo-labels demo-report.html .mypy_cache .pytest_cache .ruff_cache
