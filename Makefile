# One runner for people, hooks and CI. Nothing needs to be installed but Python 3.11 and make.
.DEFAULT_GOAL := help
.PHONY: help run run-nodemo stop status logs psql manage password demo test test-all fuzz fmt check lock clean clean-data
SHELL := /bin/bash
VENV ?= .venv
export VENV
unexport PYTHONDONTWRITEBYTECODE

PYTHON_IN_VENV := "$(VENV)/bin/python"
EMBEDDED := $(PYTHON_IN_VENV) -m personalize.embedded

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22
	@echo "Variables: PORT (8000), HOST (127.0.0.1), PYTHON, STATE_DIR (.run), DATABASE_URL, BROKER_URL; see .env.example"

run:  ## start everything with the demo, print the admin's address; Ctrl-C stops it
	@tools/bootstrap.sh run
	@exec $(EMBEDDED) up

run-nodemo:  ## the same without demo data
	@tools/bootstrap.sh run
	@exec $(EMBEDDED) up --no-demo

stop:  ## stop what runs from this folder
	@$(EMBEDDED) stop

status:  ## say what runs from this folder
	@$(EMBEDDED) status

logs:  ## follow the logs of all processes
	@tail -n 20 -F "$${STATE_DIR:-.run}"/logs/*.log

psql:  ## open psql on the running database
	@$(EMBEDDED) psql

manage:  ## a management command: make manage ARGS="check --deploy"
	@tools/bootstrap.sh run
	@$(EMBEDDED) exec -- $(PYTHON_IN_VENV) manage.py $(ARGS)

password:  ## a new password for the demo admin
	@$(EMBEDDED) exec -- $(PYTHON_IN_VENV) manage.py create_demo_admin --reset

demo:  ## the whole road without a browser: import, write, check, approve, deliver; writes out/demo.json
	@tools/bootstrap.sh run
	@$(EMBEDDED) exec --fresh --migrate -- $(PYTHON_IN_VENV) manage.py demo $(ARGS)

test:  ## checks and tests against a real PostgreSQL and Valkey; ARGS go to pytest
	@tools/bootstrap.sh dev
	@tools/chromium.sh
	@$(EMBEDDED) exec --fresh --fast -- tools/test.sh -m "not slow" $(ARGS)

test-all:  ## the same with the slow tests
	@tools/bootstrap.sh dev
	@tools/chromium.sh
	@$(EMBEDDED) exec --fresh --fast -- tools/test.sh $(ARGS)

fuzz:  ## call every operation of the API with odd input on a real server; ARGS: --examples 100
	@tools/bootstrap.sh dev
	@$(EMBEDDED) exec --fresh --fast -- $(PYTHON_IN_VENV) benchmarks/fuzz_api.py $(ARGS)

fmt:  ## format the code and repair what ruff can
	@tools/bootstrap.sh dev
	@"$(VENV)/bin/ruff" check --fix-only --quiet . && "$(VENV)/bin/ruff" format --quiet .

check:  ## the checks of `make test` without the tests
	@tools/bootstrap.sh dev
	@CHECKS_ONLY=1 $(EMBEDDED) exec --fresh --fast -- tools/test.sh

lock:  ## compile requirements.lock from pyproject.toml
	@tools/bootstrap.sh dev
	@tools/lock.sh

clean:  ## remove the virtual environment and caches; data stays
	@[ ! -x "$(VENV)/bin/python" ] || $(EMBEDDED) stop
	@rm -rf "$(VENV)" "$(VENV).lock" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data:  ## stop and delete the embedded database, broker, models and output
	@[ ! -x "$(VENV)/bin/python" ] || $(EMBEDDED) stop
	@tools/clean_data.sh
