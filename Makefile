# What a developer types; `make` alone lists it. The work itself is in cargo, scripts/setup and crates/xtask.
.DEFAULT_GOAL := help
.PHONY: help run build test lint audit bench chaos openapi sqlx

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Install what is missing, build, and run Wharf here (ARGS='--listen 127.0.0.1:9000')
	@scripts/setup
	@cargo build --release --locked --package wharf
	@exec cargo run --quiet --release --locked --package wharf -- up $(ARGS)

build: ## Build the release binary
	@cargo build --release --locked --package wharf

test: ## Everything: lint, unit, integration with Postgres and Chromium, the official clients, a fleet under faults
	@scripts/setup --test
	@exec cargo xtask test

lint: ## Format, clippy, licences and bans, the repository's own rules
	@scripts/setup --test
	@exec cargo xtask lint

audit: ## Known vulnerabilities in our dependencies (downloads the advisory database)
	@scripts/setup --test
	@exec cargo xtask audit

bench: ## Measure against a bare browser and a raw tunnel (ARGS='--short --check')
	@scripts/setup
	@cargo build --release --locked --package wharf
	@exec cargo run --release --locked --package wharf-bench -- $(ARGS)

chaos: ## Hurt a fleet of real processes and check that it does not lie (ARGS='--short', ARGS='--only mixed')
	@scripts/setup --test
	@cargo build --release --locked --package wharf --package wharf-testkit --package wharf-chaos
	@exec cargo run --quiet --release --locked --package wharf-chaos -- $(ARGS)

openapi: ## Write openapi/wharf.json from the handlers
	@cargo xtask openapi

sqlx: ## Write .sqlx from the queries and the migrations
	@scripts/setup
	@cargo xtask sqlx-prepare
