# make demo   set up, run the quickstart sweep on bundled real data, write its report
# make test   set up, check style and types, run the tests
# make lint   style and types alone         make format  bring the style in order
# make slow   the tests that take minutes   make test-faults   the fault kit in full: hours; writes docs/reliability.md
# make lock    choose the newest versions of everything
# make compat  run the tests with what pip chooses today on the newest Python, then with the oldest JAX (long)
# make bench  measure speed, memory and waiting beside PyTorch and Flax (40 minutes)   make bench-gpu  the same on a GPU
# make gpu    all that is measured and reproduced on a GPU, in slices of MINUTES=8: type it until nothing is left
# make tfds-prepare   let tensorflow-datasets' own ImageNet builder run on small archives (downloads TensorFlow)
# make browser   open a report in headless Chromium: its figures, errors and times (skipped where there is none)
# make notebooks   run notebooks/*.py in fresh kernels and write the .ipynb beside them, with outputs
# make diagrams   draw docs/units and fill the tables of docs/, commands and settings too, from the code
# make docs    build the documentation as a site, site/index.html

# The first of these that is Python 3.11 or newer; or say: make PYTHON=/path/to/python demo
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Without compiled bytecode every process takes seconds more to import JAX.
unexport PYTHONDONTWRITEBYTECODE
INSTALLED := .venv/installed
# PyTorch, which only the benchmarks compare with, has an environment of its own; or name a Python that has it.
TORCH_PYTHON ?= .venv-bench/bin/python
TORCH_INSTALLED := $(if $(filter .venv-bench/%,$(TORCH_PYTHON)),.venv-bench/installed)
BENCH := $(BIN)/python -m benchmarks.run --torch-python $(TORCH_PYTHON)

.PHONY: demo test test-faults slow tfds-prepare browser lint format lock compat compat-new compat-old bench bench-gpu \
	gpu gpu-here jax-gpu diagrams docs notebooks clean

demo: $(INSTALLED)
	$(BIN)/resjax train -m experiment=quickstart
	$(BIN)/resjax report quickstart
	@echo "To type resjax yourself: source $(BIN)/activate"

test: lint
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

FAULTS ?= tests/faults
test-faults: $(INSTALLED)
	$(BIN)/pytest --full -n 2 --dist loadfile --no-loadscope-reorder $(FAULTS)

slow: $(INSTALLED)
	$(BIN)/pytest -m slow

tfds-prepare: .venv-tfds/installed
	.venv-tfds/bin/python -m pip check
	.venv-tfds/bin/pytest -m slow tests/data/test_stock_imagenet.py

# -raP: with the reason of a skip, and the seconds that were measured
browser: $(INSTALLED)
	$(BIN)/pytest -m browser -raP tests/report/test_browser.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
		--no-annotate --no-header --group dev pyproject.toml -o requirements/lock.txt
	$(BIN)/python requirements/installer.py

# Not from the lock, and made anew each time. Some of it: make compat TESTS=tests/models
PYTHON_NEW ?= $(shell for p in python3.13 python3.12; do $$p -c '' 2>/dev/null && echo $$p && break; done)
TESTS ?= tests
compat: compat-new compat-old
compat-new: COMPAT_PYTHON = $(PYTHON_NEW)
compat-old: COMPAT_PYTHON = $(PYTHON)
compat-old: COMPAT_JAX = jax==$(shell sed -n 's/.*"jax>=\([^,]*\),.*/\1/p' pyproject.toml)
compat-new compat-old: COMPAT_BIN = .venv-compat/$@/bin
compat-new compat-old:
	@test -n "$(COMPAT_PYTHON)" || { echo "$@ finds no Python. Type: make PYTHON_NEW=/path/to/python3.13 compat"; exit 1; }
	$(COMPAT_PYTHON) -m venv --clear .venv-compat/$@
	echo '*' > .venv-compat/.gitignore
	$(COMPAT_BIN)/python -m pip install --quiet --upgrade pip
	$(COMPAT_BIN)/python -m pip install --quiet --editable . --group test $(COMPAT_JAX)
	$(COMPAT_BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

# BENCH_ARGS: --quick, --only speed,start, ... (python -m benchmarks.run --help)
bench: $(INSTALLED) $(TORCH_INSTALLED)
	$(BENCH) $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.table

bench-gpu: gpu-here jax-gpu $(TORCH_INSTALLED)
	$(BENCH) --device gpu $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.table

MINUTES ?= 8
gpu: gpu-here jax-gpu $(TORCH_INSTALLED)
	$(BIN)/python -m benchmarks.gpu --minutes $(MINUTES) --torch-python $(TORCH_PYTHON)

# Asked first, before anything large is installed.
gpu-here:
	@nvidia-smi -L 2>/dev/null | grep -q GPU || { echo "No GPU is here: nvidia-smi -L lists none."; \
		echo "Type: make $(MAKECMDGOALS), on a machine with an NVIDIA GPU; or make bench, for the CPU"; exit 2; }

# JAX's GPU part is no part of the lock; CUDA=cuda13 for the newer one.
CUDA ?= cuda12
jax-gpu: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		"jax[$(CUDA)]==$$($(BIN)/python -c 'import importlib.metadata as m; print(m.version("jax"))')"

diagrams: $(INSTALLED)
	$(BIN)/python docs/diagrams.py
	$(BIN)/python docs/terminal.py

notebooks: $(INSTALLED)
	$(BIN)/python notebooks/make.py

# The variable keeps the theme from advertising its successor; with --quiet mkdocs would count no warnings.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site: site/index.html. To search it, too: $(BIN)/python -m http.server --directory site"

clean:
	rm -rf .venv .venv-bench .venv-compat .venv-tfds site

# uv installs in seconds what pip needs a minute for; where it does not run, pip does it.
$(INSTALLED): requirements/lock.txt requirements/installer.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "resjax needs Python 3.11 or newer. Type: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/installer.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements/lock.txt || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# What is locked, then the extra: it may bring more, and `pip check` says whether it all fits together.
.venv-tfds/installed: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv .venv-tfds
	echo '*' > .venv-tfds/.gitignore
	.venv-tfds/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/lock.txt
	.venv-tfds/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[tfds-prepare]'
	touch $@

.venv-bench/installed: requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	echo '*' > .venv-bench/.gitignore
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt || \
		{ echo "PyTorch could not be installed. Type: $(BIN)/python -m benchmarks.run --without torch"; exit 1; }
	touch $@
