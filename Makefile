# Two commands do everything: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-model test lint clean

$(VENV)/core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "corpuskit needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[enrich,publish,report]'
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# On Linux the real vLLM annotates paragraphs of the corpus; elsewhere there is no build of it for the CPU.
ifeq ($(shell uname),Linux)
LABELS := --annotations demo-labels
endif

demo: $(VENV)/core
	$(BIN)/corpuskit demo --output demo-corpus
ifdef LABELS
	@$(MAKE) --no-print-directory demo-model
	$(BIN)/corpuskit enrich demo-corpus --prompt biomed-enriched-fr --serve demo --min-words 30 --share 0.25 --output demo-labels
endif
	$(BIN)/corpuskit sample biomed-fr-small --from demo-corpus --output demo-sample
	$(BIN)/corpuskit publish demo-corpus $(LABELS) --sample biomed-fr-small=demo-sample --splits 80/10/10 --name "corpuskit demo" --output demo-published
	$(BIN)/corpuskit report demo-corpus $(LABELS) --output demo-report.html

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
	rm -rf $(VENV) demo-corpus demo-labels demo-sample demo-published demo-report.html .mypy_cache .pytest_cache .ruff_cache
