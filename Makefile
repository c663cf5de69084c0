# Names for commands. Each target sets up .venv by itself, once.
V := .venv
PY := $(V)/bin/python
# uv does not read pip's settings: hand on the folder of local wheels where pip has one.
export UV_FIND_LINKS := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS))
# Compiled once, also where PYTHONDONTWRITEBYTECODE is set: every process starts in half the time.
INSTALL := $(V)/bin/uv pip install -q --compile-bytecode --python $(PY) -c constraints.txt

.PHONY: help demo test fast lint docs check clean
help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

$(V)/.uv:
	python3 -m venv $(V)
	$(PY) -m pip install -q uv==0.13.9
	@touch $@
$(V)/.demo: $(V)/.uv pyproject.toml constraints.txt
	$(INSTALL) -e '.[demo]'
	@touch $@
$(V)/.test: $(V)/.uv pyproject.toml constraints.txt
	$(INSTALL) -e '.[demo,smp,imagenet,cluster,network]' --group test --group lint --group docs
	@touch $@

demo: $(V)/.demo ## a whole study on a synthetic five-hospital cohort
	$(V)/bin/roundelay demo
test: $(V)/.test ## everything that must hold
	$(PY) -m pytest
fast: $(V)/.test ## the tests of a few seconds
	$(PY) -m pytest -m "not slow"
lint: $(V)/.test ## format, style, types, import directions
	$(V)/bin/ruff format --check .
	$(V)/bin/ruff check .
	$(V)/bin/mypy
	$(V)/bin/lint-imports
docs: $(V)/.test ## build docs/ strictly
	$(V)/bin/sphinx-build -W -q -b html docs docs/_build/html
check: lint docs test ## what continuous integration runs
clean: ## remove what was built
	rm -rf $(V) docs/_build .pytest_cache .mypy_cache .ruff_cache
