# Everything a developer does here. Users install with pip; see README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
USABLE := $(VENV)/usable
INSTALLED := $(VENV)/installed

.PHONY: install demo test fuzz test-qgis plugin plugin-local plugin-lock plugin-options lint format docs clean

install: $(INSTALLED)

# Debian ships Python without venv; where apt can bring it, it does.
$(USABLE): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
		|| { echo "geochg needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null \
		|| { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
	@echo "Setting up $(VENV): about 600 MB, a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(INSTALLED): $(USABLE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(USABLE)
	@mkdir -p demo_output
	$(BIN)/geochg analyze examples/dubai_2015.tif examples/dubai_2018.tif \
		--min-area 2000 --output demo_output/changes.geojson --heatmap demo_output/change.tif
	@echo "The layer is demo_output/changes.geojson: open it in QGIS over examples/dubai_2018.tif."

# Two at a time, whole files together: more would take more memory than a laptop has.
test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	bash tests/qgis/run.sh

# What is read, damaged and mixed up, for as long as one likes: make fuzz SECONDS=3600 [SEED=7].
# A failure prints the seed that finds it again. The gate (make test) tries the same for two minutes.
SECONDS ?= 600
SEED ?= 0

fuzz: install
	FUZZ_SECONDS=$(SECONDS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q tests/fuzz

# In the Python of QGIS, which apt installs where it may; skipped, and said so, where there is none.
test-qgis: install
	bash tests/qgis/run.sh

# What the plugin knows before it has met a worker: options and classes of this geochg.
plugin-options: install
	$(BIN)/python -c "import json; from geochg.options import AnalyzeOptions as Options; \
		told = [spec.to_dict() for spec in Options.specs()]; \
		print(json.dumps(told, ensure_ascii=False, indent=1))" > qgis_plugin/options.json
	$(BIN)/python -c "import json; from geochg.accuracy.options import SampleOptions as Options; \
		told = [spec.to_dict() for spec in Options.specs()]; \
		print(json.dumps(told, ensure_ascii=False, indent=1))" > qgis_plugin/sample_options.json
	$(BIN)/python -c "import json; from geochg.layer_check.options import CheckOptions as Options; \
		told = [spec.to_dict() for spec in Options.specs()]; \
		print(json.dumps(told, ensure_ascii=False, indent=1))" > qgis_plugin/check_options.json
	$(BIN)/python -c "import json; from geochg.classes import LEGEND; \
		print(json.dumps(LEGEND, indent=1))" > qgis_plugin/classes.json

# Versions and checksums of what geochg needs, with which the plugin installs it: to be made anew when
# pyproject.toml or constraints.txt change.
plugin-lock: install
	$(BIN)/python -m pip install --quiet uv
	@mkdir -p build
	@(echo "# Versions and checksums of what geochg needs, for every platform: make plugin-lock writes it"; \
		echo "# of pyproject.toml and constraints.txt. pip takes nothing else when the plugin installs geochg."; \
		$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
			--no-header --no-annotate --no-emit-index-url --no-config \
			--default-index https://pypi.org/simple --constraint constraints.txt pyproject.toml \
	) > build/requirements.txt
	@mv build/requirements.txt qgis_plugin/requirements.txt

# The zip for QGIS's plugin site, which lists the addresses: make plugin REPOSITORY=... EMAIL=...
# The wheel beside it goes to the address that it names (RELEASE=..., else among the releases).
plugin:
	$(PYTHON) qgis_plugin/build.py dist --repository "$(REPOSITORY)" --email "$(EMAIL)" \
		--release "$(RELEASE)"

# The zip for Install from ZIP on this machine, with geochg's wheel in it.
plugin-local:
	$(PYTHON) qgis_plugin/build.py dist --local

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, in build/site. A broken link, a page that is missing or that asks another host fails.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The documentation is in build/site: open build/site/index.html, or serve it with"
	@echo "$(BIN)/python -m mkdocs serve"

clean:
	rm -rf $(VENV) .venv-qgis build dist demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache
