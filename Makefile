# Everything on a fresh machine: `make demo` and `make test` install what they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Threads that wait do not spin: the machine may be shared.
export OMP_WAIT_POLICY ?= PASSIVE

KAFKA_JARS := build/kafka/lib
MONITORING := build/monitoring/bin

.PHONY: help install demo test check format lint types layers unit acceptance benchmarks clean
.PHONY: kafka kafka-jars kafka-for-tests monitoring monitoring-for-tests

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## make .venv with pinned versions

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "freshrank needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## a simulated shop breaks twice, alerts fire, the loop recovers
	$(BIN)/freshrank demo

kafka: kafka-jars  ## Kafka at 127.0.0.1:9092 with a topic events, until Ctrl-C
	@exec $(PYTHON) deploy/kafka/local_kafka.py --port 9092 --topic events:4

kafka-jars: $(KAFKA_JARS)/.fetched  ## the jars of Kafka, through Maven

$(KAFKA_JARS)/.fetched: deploy/kafka/pom.xml
	@command -v mvn >/dev/null || { echo 'Maven fetches the jars of Kafka, and is not here: apt-get install maven,' \
	  'or run deploy/kafka/compose.yaml with Docker.' >&2; exit 1; }
	rm -rf build/kafka/fetched
	mvn -q -B -f deploy/kafka/pom.xml dependency:copy-dependencies \
	  '-DoutputDirectory=$(CURDIR)/build/kafka/fetched'
	rm -rf $(KAFKA_JARS)
	mv build/kafka/fetched $(KAFKA_JARS)
	touch $@

# Without them the tests that need a broker are skipped, and say so; where CI is set they fail.
kafka-for-tests:
	@$(MAKE) --no-print-directory kafka-jars || echo 'The tests that need Kafka go without.'

monitoring: $(MONITORING)/.fetched  ## Prometheus, promtool and Alertmanager, through apt

$(MONITORING)/.fetched: deploy/monitoring/fetch.sh
	deploy/monitoring/fetch.sh
	touch $@

monitoring-for-tests:
	@$(MAKE) --no-print-directory monitoring || echo 'The tests that need Prometheus go without.'

test: check  ## install, then every check and test that CI runs

check: format lint types layers unit

format: install  ## are the files formatted?
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

layers: install  ## does every import go the allowed way?
	$(BIN)/lint-imports

unit: install kafka-for-tests monitoring-for-tests  ## unit, conformance, integration tests and doctests
	$(BIN)/pytest -m "not acceptance"

acceptance: install kafka-for-tests monitoring-for-tests  ## every seed of every fault, the soak, the long benchmarks: hours
	$(BIN)/pytest -m acceptance
	$(BIN)/python -m benchmarks.soak
	$(MAKE) benchmarks

benchmarks: install kafka-for-tests  ## print every figure of benchmarks/RESULTS.md: hours
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.replay --events 10000
	$(BIN)/python -m benchmarks.clicks
	$(BIN)/python -m benchmarks.offpolicy
	$(BIN)/python -m benchmarks.against_shadows
	$(BIN)/python -m benchmarks.worse_than
	$(BIN)/python -m benchmarks.drift
	$(BIN)/python -m benchmarks.catalogue_scale
	$(BIN)/python -m benchmarks.recovery_from_drift
	$(BIN)/python -m benchmarks.ml100k --set threads=1
	$(BIN)/python -m benchmarks.ml100k --set threads=1 --catalogue
	$(BIN)/python -m benchmarks.ml100k --set threads=1 --catalogue --file-order
	$(BIN)/python -m benchmarks.diginetica --passes 4 --set threads=1
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.quality --diginetica
	$(BIN)/python -m benchmarks.slices
	$(BIN)/python -m benchmarks.slices --diginetica
	$(BIN)/python -m benchmarks.towers
	$(BIN)/python -m benchmarks.inputs
	$(BIN)/python -m benchmarks.conversions
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.kafka
	$(BIN)/python -m benchmarks.recovery

clean:  ## remove the environment, the demo, the local Kafka and Prometheus
	rm -rf $(VENV) demo build/kafka build/monitoring
