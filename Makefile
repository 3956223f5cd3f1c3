# Every target goes through bootstrap.py, which needs Python 3.11 or newer and nothing else.
PYTHON ?= python3

.PHONY: install run test check lock clean

install:
	$(PYTHON) bootstrap.py install

run:
	$(PYTHON) bootstrap.py run

test:
	$(PYTHON) bootstrap.py test

check:
	$(PYTHON) bootstrap.py check

lock:
	$(PYTHON) bootstrap.py lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
