"""Signed addresses, and what happens when they expire in the middle of a run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import geochg
from geochg.errors import RunError
from geochg.events import Progress
from geochg.tiling.signed_addresses import is_signed, refusal

SERVER = Path(__file__).parent.parent / "support" / "signed_server.py"


@pytest.mark.parametrize(
    "name",
    [
        "https://b.s3.amazonaws.com/a.tif?X-Amz-Algorithm=x&X-Amz-Signature=ab&X-Amz-Expires=60",
        "/vsicurl/https://b.blob.core.windows.net/a.tif?se=2026-01-01&sig=ab%3D",
        "/vsicurl/https://storage.googleapis.com/a.tif?X-Goog-Signature=ab",
        "/vsicurl?empty_dir=yes&url=https%3A%2F%2Fb.org%2Fa.tif%3Fsig%3Dab",
        "https://cdn.org/a.tif?Expires=1&Signature=ab&Key-Pair-Id=k",
        "https://tiles.planet.com/a.tif?api_key=ab",
        "https://b.oss.aliyuncs.com/a.tif?x-oss-signature=ab",
        "https://b.org/a.tif?hdnea=exp%3D1~hmac%3Dab",
        "https://b.s3.amazonaws.com/a.tif?X-Amz-Security-Token=ab",
    ],
)
def test_addresses_with_a_signature(name):
    assert is_signed(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.tif",
        "https://b.org/a.tif",
        "https://b.org/a.tif?version=2",
        "sig=ab.tif?sig=1",
        "/vsizip/a",
    ],
)
def test_addresses_without(name):
    assert not is_signed(name)


@pytest.fixture
def served(tmp_path, make_raster):
    """The address of a folder with a pair of 64 tiles, and the file of the signature taken."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (3, 1024, 1024), dtype=np.uint8)
    for name in ("before", "after"):
        make_raster(f"{name}.tif", values, tiled=True, blockxsize=64, blockysize=64)
        # One change: outlines of noise would be thousands, and take minutes.
        values[:, 900:960, 900:960] = 255 - values[:, 900:960, 900:960]
    (tmp_path / "taken.txt").write_text("first")
    with subprocess.Popen(
        [sys.executable, SERVER, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", tmp_path / "taken.txt"
        process.kill()


@pytest.mark.usefixtures("marker_plugin")
def test_an_address_that_expires_is_told_and_a_fresh_one_goes_on(served, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address, taken = served
    output = tmp_path / "o.geojson"

    def run(signature, listener=lambda event: None, **more):
        options = geochg.AnalyzeOptions(
            model="marker", align="off", tile_size_px=128, overlap_px=0, batch_size=1, **more
        )
        names = [
            f"{address}/{name}.tif?X-Amz-Signature={signature}" for name in ("before", "after")
        ]
        return geochg.analyze(
            *names, options, outputs=geochg.Outputs(features=output), listener=listener
        )

    def expire(event):
        if isinstance(event, Progress) and event.stage == "tiles" and event.done == 3:
            taken.write_text("second")
            # GDAL keeps what it fetched, perhaps the whole file: it shall ask the server anew.
            for name in ("before", "after"):
                assert refusal(f"{address}/{name}.tif?X-Amz-Signature=first") == "403"

    with pytest.raises(RunError, match=r"before\.tif no more \(HTTP 403\): it has most") as caught:
        run("first", expire)
    assert "--resume" in caught.value.hint
    assert "first" not in str(caught.value)
    assert refusal(f"{address}/before.tif?X-Amz-Signature=first") == "403"
    assert refusal(f"{address}/before.tif?X-Amz-Signature=second") == ""
    done = []
    run("second", lambda event: done.append(event), resume=True)
    first = next(event for event in done if isinstance(event, Progress) and event.stage == "tiles")
    assert first.done >= 3
    assert output.exists()
