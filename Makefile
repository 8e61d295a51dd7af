.DEFAULT_GOAL := help
.PHONY: help up by-hand preview drift down output pulumi prepare check fast-tests test lint soak bench bench-stack clean

# npm ci only when the lock file changed.
installed := node_modules/.package-lock.json
tsx := node --require tsx/cjs
cache := node_modules/.cache

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(installed) ## Start the lab, bring the stack "dev" up in it, check it, say how to use it
	@$(tsx) lab/cli.ts up

preview: $(installed) ## Show what "make up" would change in the stack "dev"
	@$(tsx) lab/cli.ts preview

drift: $(installed) ## Tamper with the load balancer host, show the preview that sees it, heal it
	@$(tsx) lab/cli.ts drift

down: $(installed) ## Destroy the stack "dev", then the lab
	@$(tsx) lab/cli.ts down

by-hand: $(installed) ## Build Rancher in the lab by the manual's commands, to adopt it (docs/coming-from-the-manual.md)
	@$(tsx) lab/cli.ts by-hand

output: $(installed) ## Print one output of the stack "dev", secrets included: make output NAME=kubeconfig
	@$(tsx) lab/cli.ts output $(NAME)

pulumi: $(installed) ## Run the Pulumi CLI on the stack "dev": make pulumi ARGS="stack history"
	@$(tsx) lab/cli.ts pulumi $(ARGS)

check: prepare ## Check types and lint, run unit and component tests: the loop to work in
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target fast-tests lint

fast-tests: $(installed)
	@node_modules/.bin/jest --maxWorkers=150% tests/unit tests/component

# A test of the stack often waits. So more tests than cores run side by side, each in its own lab.
# With four of them, Kubernetes starts too slowly for RKE, which gives a control plane 60 s.
test: prepare ## Run every test layer, the whole stack included (65 minutes)
	@$(MAKE) --no-print-directory lint
	@node_modules/.bin/jest --maxWorkers=3

lint: $(installed) ## Check types, formatting, lint and long sentences; skip unchanged files
	@node_modules/.bin/tsc -p tsconfig.strict.json --incremental --tsBuildInfoFile $(cache)/types & types=$$!; \
	node_modules/.bin/eslint --cache --cache-strategy content --cache-location $(cache)/eslint . && \
	node_modules/.bin/prettier --cache --cache-strategy content --cache-location $(cache)/prettier.json --log-level warn --check . && \
	$(tsx) scripts/longSentences.ts && wait $$types

soak: prepare ## Run the tests that wait or measure under load, and write docs/soak.md
	@node_modules/.bin/jest --config tests/soak/jest.config.js --runInBand

bench-stack: prepare ## Measure the duration of "make up" and similar commands, and the lab's memory (BARE=1: also on a bare machine, 20 minutes more)
	@$(tsx) bench/stack.ts

bench: prepare ## Measure the load balancer against the manual's configuration, and write docs/benchmarks.md (under an hour; QUICK=1: ten minutes, prints only)
	@$(tsx) bench/loadBalancer/index.ts $(PARTS)

clean: ## Remove node_modules and dist
	rm -rf node_modules dist

# Installs the Debian packages, and builds the tools and images that tests need, once.
prepare: $(installed)
	@$(tsx) lab/cli.ts prepare

$(installed): package-lock.json
	@echo "npm ci, about half a minute"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
