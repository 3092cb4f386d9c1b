# Everything runs in .venv, made from requirements.lock. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= studies/lzon-quick.toml
OUT ?= runs/$(notdir $(basename $(STUDY)))

.PHONY: install install-mp install-dft install-slurm install-browser install-docs study test lint bench soak chaos fuzz sbom audit docs \
  examples phases clean

install: .venv/installed

# The compiled core is built with the package, and again whenever its sources change.
.venv/installed: requirements.lock pyproject.toml setup.py $(wildcard src/ionscape/potential/core/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ionscape needs Python 3.11 or newer; found $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

install-docs: .venv/installed-docs    ## what builds the site and runs the notebooks

.venv/installed-docs: .venv/installed requirements-docs.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off --no-deps -r requirements-docs.lock
	touch $@

install-mp: install      ## client of the Materials Project (large), for `--phases mp`
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -r requirements-mp.lock

# The system's libraries, where they are missing and apt is there; then GPAW, which compiles against them.
DFT_LIBRARIES := gcc g++ libxc-dev libopenblas-dev libopenmpi-dev openmpi-bin
install-dft: .venv/installed-dft    ## density-functional theory: GPAW and its data sets

.venv/installed-dft: .venv/installed requirements-dft.lock
	command -v mpicc >/dev/null && test -n "$$(find /usr/include /usr/local/include -name xc.h 2>/dev/null)" || \
	  { SUDO=$$(test "$$(id -u)" = 0 || echo sudo); $$SUDO apt-get update -qq && \
	    $$SUDO apt-get install -y -qq --no-install-recommends $(DFT_LIBRARIES); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -r requirements-dft.lock
	touch $@

install-slurm:          ## Slurm on this one machine, for the tests of the engine; leaves any other Slurm alone
	tools/install_slurm.sh

# A browser of the system, Playwright's own, or Debian's, whichever can be had first.
install-browser: .venv/installed-browser    ## Chromium and what drives it, for the tests of the report's page

.venv/installed-browser: .venv/installed requirements-browser.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -r requirements-browser.lock
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  $(BIN)/playwright install chromium-headless-shell 2>/dev/null || \
	  { SUDO=$$(test "$$(id -u)" = 0 || echo sudo); $$SUDO apt-get update -qq && \
	    $$SUDO apt-get install -y -qq --no-install-recommends chromium fonts-liberation; }
	touch $@

study: install          ## environment, then the main job
	$(BIN)/ionscape run $(STUDY) --out $(OUT)

test: install           ## environment, then every test
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: install          ## every benchmark, beside its peer; results in benchmarks/results
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/quick_study.py
	$(BIN)/python benchmarks/ewald_ranking.py
	$(BIN)/python benchmarks/chgnet_evaluation.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/contact_reactions.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/potential_accuracy.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/potential_front.py --again
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/potential_scaling.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/potential_stability.py

soak: install           ## a study killed at random moments, again and again (about half an hour)
	$(BIN)/python benchmarks/kill_and_resume.py

chaos: install          ## 200 kills of runner, writer and workers of a cheap study (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/chaos.py

fuzz: install           ## the whole corpus of malformed inputs through every command (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/fuzz.py

sbom: install           ## bill of materials of the environment (CycloneDX), compared with the lock file
	$(BIN)/python tools/sbom.py --out sbom.json --lock requirements.lock

audit: install          ## known vulnerabilities of the installed versions, as the package index tells them
	$(BIN)/python tools/sbom.py --out sbom.json --lock requirements.lock --audit

phases: install         ## energies of all packaged phases at the embedded level (hours)
	$(BIN)/python tools/relax_phases.py all --out src/ionscape/phases/data/energies/chgnet-0.3.0.json

docs: install-docs      ## reference pages from the code, then the site in site/; a warning is an error
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/phase_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --clean

examples: install-docs  ## runs the commands and notebooks of the documentation; writes down what they print
	OMP_NUM_THREADS=1 $(BIN)/python tools/examples.py --refresh
	OMP_NUM_THREADS=1 $(BIN)/python tools/notebooks.py

clean:
	rm -rf .venv build site src/ionscape/potential/_core.* runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
