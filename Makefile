# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every target installs what it needs into .cache; what is made goes to build. The work is done by the programs in tools.

PYTHON = $$(sh tools/find-python --best)
export KUBECONFIG INVENTORY ARGS FAULT KEY MINUTES PART

.PHONY: help diagnose check test fuzz bench docs format lab lab-up lab-down lab-diagnose lab-test lab-remediation lab-alerts record artefact clean
.DEFAULT_GOAL := help

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

diagnose: ## diagnose your cluster (KUBECONFIG=… INVENTORY=… [ARGS='--limit worker-7']), else evidence that ships with this repository
	@python=$(PYTHON) && $$python tools/diagnose.py

check: ## the quick tests: lint, types, documentation, unit tests (under 3 minutes)
	@python=$(PYTHON) && $$python tools/run.py check

test: ## all tests: check, ansible-test, all versions of ansible-core, the lab's matrix (root; under 40 minutes)
	@python=$(PYTHON) && $$python tools/run.py test

fuzz: ## hostile input for MINUTES (10), other cases each time; the quick part of it is in make test
	@python=$(PYTHON) && $$python tools/run.py fuzz

bench: ## measure: time, memory, round trips, into build/benchmarks.json (PART='diagnose …' for some; see docs/benchmarks.md)
	@python=$(PYTHON) && $$python tools/run.py bench

docs: ## write docs/rules from the rules, and what follows from the alerts
	@python=$(PYTHON) && $$python tools/run.py docs

format: ## format the Python code
	@python=$(PYTHON) && $$python tools/run.py format

lab-up: ## start the lab: a real cluster of booted machines (root)
	@python=$(PYTHON) && $$python tools/lab.py up

lab-down: ## end the lab and remove all of it
	@python=$(PYTHON) && $$python tools/lab.py down

lab-diagnose: ## start the lab, break one node, diagnose it
	@python=$(PYTHON) && $$python tools/lab.py diagnose

lab: ## the lab's own command line: ARGS='inject csr-denied --node node3', ARGS='run -- kubectl get csr'
	@python=$(PYTHON) && $$python tools/lab.py $(ARGS)

lab-test: ## the lab's matrix alone (FAULT='name …' for some)
	@python=$(PYTHON) && $$python tools/run.py lab-test

lab-remediation: ## break the lab, mend it by the playbook remediate (FAULT='name …' for some)
	@python=$(PYTHON) && $$python tools/run.py lab-remediation

lab-alerts: ## the alerts and the mixin's on a real rotation failure, scraped by Prometheus (root; 17 minutes)
	@python=$(PYTHON) && $$python tools/run.py lab-alerts

record: ## keep what the last lab-test collected as tests/fixtures
	@python=$(PYTHON) && $$python tools/record.py

artefact: ## the tarball to release, the same for everybody, with an SBOM and digests (KEY=… signs it with your gpg key)
	@python=$(PYTHON) && $$python tools/release.py

clean: ## remove what the targets made, but not the lab
	rm -rf .cache build
