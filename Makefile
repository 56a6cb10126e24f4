# Two commands do everything: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-model test lint clean

$(VENV)/core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "corpuskit needs Python 3.11 or later: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[enrich,pretrain,publish,report]'
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# On Linux the real vLLM annotates paragraphs of the corpus; elsewhere there is no build of it for the CPU.
ifeq ($(shell uname),Linux)
LABELS := --annotations demo-labels
SOFT := --sample soft=demo-soft
endif

demo: $(VENV)/core
	$(BIN)/corpuskit demo --output demo-corpus
ifdef LABELS
	@$(MAKE) --no-print-directory demo-model
	$(BIN)/corpuskit enrich demo-corpus --prompt biomed-enriched-fr --serve demo --min-words 30 --share 0.25 --output demo-labels
	$(BIN)/corpuskit sample soft --from demo-corpus $(LABELS) --output demo-soft --overwrite
endif
	$(BIN)/corpuskit sample biomed-fr-small --from demo-corpus --output demo-sample --overwrite
	$(BIN)/corpuskit publish demo-corpus $(LABELS) --sample biomed-fr-small=demo-sample $(SOFT) --splits 80/10/10 --name "corpuskit demo" --output demo-published --overwrite
	$(BIN)/corpuskit report demo-corpus $(LABELS) --output demo-report.html
	$(BIN)/corpuskit tokenizer demo-corpus --vocabulary 1000 --held-out 10 --output demo-tokenizer --overwrite
	$(BIN)/corpuskit pretrain try-on-cpu --data demo-corpus --tokenizer demo-tokenizer --output demo-pretrained --overwrite
	$(BIN)/corpuskit fill "Le patient présente une <mask> aiguë" --model demo-pretrained
	$(BIN)/corpuskit evaluate --model dictionary --task demo-ner --data corpuskit/samples/tasks --output demo-results/dictionary --overwrite
	$(BIN)/corpuskit evaluate --model demo-pretrained --task demo-ner --data corpuskit/samples/tasks --steps 100 --seeds 2 --output demo-results/pretrained --overwrite
	$(BIN)/corpuskit compare demo-results --baseline dictionary --report demo-results.html

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
	rm -rf $(VENV) demo-corpus demo-labels demo-sample demo-soft demo-published demo-report.html demo-tokenizer demo-pretrained demo-results demo-results.html deck .mypy_cache .pytest_cache .ruff_cache
