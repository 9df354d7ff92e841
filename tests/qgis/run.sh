#!/usr/bin/env bash
# The tests of the plugin in QGIS's own Python; what is told to it goes to pytest: tests/qgis/run.sh
# tests/qgis/test_review.py -x runs one file, no file runs all of them, two at a time.
# Installs QGIS with apt where it may. Without QGIS they are skipped, and said to be, unless
# GEOCHG_REQUIRE_QGIS is set.
set -euo pipefail
cd "$(dirname "$0")/../.."

has_qgis() { /usr/bin/python3 -c "import qgis.core" 2>/dev/null && command -v qgis xvfb-run >/dev/null; }

if ! has_qgis && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        qgis python3-qgis xvfb xauth python3-venv python3-pip || true
fi
if ! has_qgis; then
    echo "SKIPPED: the tests of the QGIS plugin, because there is no QGIS with xvfb here" \
        "(sudo apt-get install qgis python3-qgis xvfb xauth)"
    [ -z "${GEOCHG_REQUIRE_QGIS:-}" ] || exit 1
    exit 0
fi

if ! cmp -s tests/qgis/requirements.txt .venv-qgis/installed; then
    /usr/bin/python3 -m venv --system-site-packages .venv-qgis
    .venv-qgis/bin/python -m pip install --quiet --requirement tests/qgis/requirements.txt
    cp tests/qgis/requirements.txt .venv-qgis/installed
fi
# Nothing of the user's own QGIS is read or written.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -m 700 "$scratch/runtime"
export XDG_RUNTIME_DIR="$scratch/runtime" QGIS_CUSTOM_CONFIG_PATH="$scratch" HOME="$scratch"
named=(tests/qgis --numprocesses 2 --dist loadfile)
for argument in "$@"; do
    [ ! -e "${argument%%::*}" ] || named=()
done
QT_QPA_PLATFORM=offscreen .venv-qgis/bin/python -m pytest -c tests/qgis/pytest.ini \
    --rootdir tests/qgis --confcutdir tests/qgis "${named[@]}" "$@"
