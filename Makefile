# `make help` lists the targets. Everything runs from this checkout; what is built is kept in ~/.cache/quorum-kubeadm.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The lab's name: containers, network and subnet derive from it, so that several labs can stand side by side.
export LAB_NAME ?= lab
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# The plain inventory fits the lab of this name in this place; for any other one, one is written.
ifeq ($(LAB_NAME)$(LAB_SUBNET)$(XDG_CACHE_HOME),lab)
INVENTORY ?= inventories/lab
else
INVENTORY ?= .build/lab/$(LAB_NAME)
endif
NODE ?= cp1
KUBE_VERSION ?= 1.36.3
LINK := .build/collections/ansible_collections/quorum/kubeadm

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: ## Python environment from the pinned requirements, and the collection's path
	@.ci/venv
	@mkdir -p $(dir $(LINK)) && ln -sfn ../../../.. $(LINK)

.PHONY: lab
lab: venv ## Build or reuse the artifacts, start the node containers, run site, verify
	@python3 -m lab deps
	@python3 -m lab artifacts --kube-version $(KUBE_VERSION)
	@python3 -m lab up
	@[[ $(INVENTORY) != .build/* ]] || python3 -m lab inventory --write $(INVENTORY)
	@ansible-playbook site.yml -i $(INVENTORY)

.PHONY: lab-down
lab-down: venv ## Remove the lab's containers and network
	@python3 -m lab down

.PHONY: lab-status
lab-status: venv ## What runs in the lab
	@python3 -m lab status

.PHONY: lab-shell
lab-shell: venv ## A shell on a node: make lab-shell NODE=cp1
	@python3 -m lab shell $(NODE)

.PHONY: verify
verify: venv ## Check the lab's cluster from end to end
	@ansible-playbook playbooks/verify.yml -i $(INVENTORY)

.PHONY: test
test: venv ## The gate: every lane below, with a table of where the time went
	@python3 -m tests.run

.PHONY: lint unit consistency integration molecule e2e
lint: venv ## ruff, mypy, yamllint, ansible-lint, ansible-test sanity, antsibull-docs, shellcheck
unit: venv ## The pure core, with property tests
consistency: venv ## Defaults, argument specs, names, docs, the built collection's contents
integration: venv ## Modules against a real etcd and a real kube-apiserver
molecule: venv ## One scenario per role, in node containers (SCENARIO=containerd for one)
e2e: venv ## The lab from blank machines
lint unit consistency integration molecule e2e:
	@python3 -m tests.run $@ $(if $(SCENARIO),--only molecule:$(SCENARIO))

.PHONY: faults
faults: venv ## Campaigns: kills, fault cases, repetitions (by hand; takes hours)
	@python3 -m tests.faults

.PHONY: bench
bench: venv ## The measured claims, written to bench/RESULTS.md (by hand; takes long)
	@python3 -m bench

.PHONY: docs
docs: venv ## Write docs/variables.md from the roles' argument specs
	@python3 docs/generate.py

.PHONY: clean
clean: ## Remove what was built inside the checkout; the cache stays
	@rm -rf .build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
