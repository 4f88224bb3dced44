# make demo: from sample data to an average mapped back (make demo-full: of three series).
# make test: every check and the fast tests.
# Both make their own environment in .venv and install what they need.

VENV := .venv
BIN := $(VENV)/bin
FIND_PYTHON := for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DEBIAN_FRONTEND := noninteractive

# Threads with nothing to do shall sleep. By default they spin, which costs small kernels several times their own
# work, most of all on a busy machine; no result depends on it.
export OMP_WAIT_POLICY := PASSIVE
export OPENBLAS_THREAD_TIMEOUT := 4

.PHONY: demo demo-full test test-slow bench lint docs system-packages clean

demo: $(VENV)/.runs system-packages
	$(BIN)/tomoflow demo demo_output

demo-full: $(VENV)/.runs system-packages
	$(BIN)/tomoflow demo demo_output --full

test: lint system-packages
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.tests system-packages
	$(BIN)/python -m pytest -m slow

bench: $(VENV)/.tests
	$(BIN)/python -m pytest tests/benchmarks -m "slow or not slow" -s

lint: $(VENV)/.tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/.runs
	$(BIN)/python docs/generate.py

# An interrupted installation leaves no stamp and is done again.
$(VENV)/.runs: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.tests: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[all,test]'
	@touch $@ $(VENV)/.runs

# Debian keeps part of the venv module in a package of its own.
$(BIN)/python:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv; \
		python=$$($(FIND_PYTHON)); \
	fi; \
	if [ -z "$$python" ]; then echo "Python 3.11 or later is needed; install it and run make again." >&2; exit 1; fi; \
	echo "Making $(VENV) with $$python"; \
	$$python -m venv --clear $(VENV) >/dev/null 2>&1 && exit 0; \
	rm -rf $(VENV); \
	if ! command -v apt-get >/dev/null; then $$python -m venv --clear $(VENV); exit; fi; \
	package=python$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "The venv module is missing. Run: sudo apt-get install -y $$package    and then make again." >&2; exit 1; \
	fi; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$package && $$python -m venv --clear $(VENV)

# What a window, or a virtual one, needs: installed when we may, named when we may not.
system-packages: $(VENV)/.runs
	@missing=$$($(BIN)/tomoflow doctor --packages); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing $$missing"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "Pictures and viewer tests need system packages. Run:" >&2; \
		echo "  sudo apt-get install -y --no-install-recommends $$missing" >&2; \
	fi

clean:
	rm -rf $(VENV) demo_output build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
