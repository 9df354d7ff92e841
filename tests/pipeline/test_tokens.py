"""The tokens that an endpoint says a run took, in the metadata of its outputs."""

from threading import Event

import pytest
from chat_server import serving
from rasters import texture

import geochg
from geochg.errors import CancelledRunError, InputError, TilesFailedError
from geochg.options import AlignMode
from geochg.pipeline.journal import Journal
from geochg.pipeline.outputs import Outputs
from geochg.pipeline.tokens import TOKENS, kept_tokens, with_spent
from geochg.tiling.layout import Layout

LAYOUT = Layout(100, 100, 50, 0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:
        running.usage = {"prompt_tokens": 700, "completion_tokens": 3, "total_tokens": 703}
        yield running


def dates(make_raster, count=2):
    values = texture(128, 192, 3)
    return [make_raster(f"2020-01-0{n}.tif", values // n) for n in range(1, count + 1)]


def options(server, **changes):
    return geochg.AnalyzeOptions(
        model=f"openai:{server.url}#seer",
        model_options={"retries": 0, "concurrency": 2},
        tile_size_px=64,
        overlap_px=0,
        align=AlignMode.OFF,
        batch_size=1,
        **changes,
    )


def cancelling(flag, after_tiles):
    """A listener that cancels the run when so many tiles are done."""

    def listen(event):
        if getattr(event, "stage", "") == "tiles" and event.done >= after_tiles:
            flag.set()

    return listen


def test_all_requests_of_a_run_are_counted(server, make_raster):
    tokens = geochg.analyze(*dates(make_raster), options(server)).metadata["tokens"]
    count = len(server.requests)
    assert count >= 6
    assert tokens == {"prompt": 700 * count, "completion": 3 * count, "untold": 0}


@pytest.mark.parametrize("count", [2, 3])
def test_a_resumed_run_gives_the_same_bytes_as_an_unbroken_one(
    server, make_raster, tmp_path, count
):
    images = dates(make_raster, count)
    run = geochg.analyze if count == 2 else geochg.analyze_series
    given = images if count == 2 else [images]
    whole, broken = Outputs(tmp_path / "whole.geojson"), Outputs(tmp_path / "broken.geojson")
    run(*given, options(server), outputs=whole)
    unbroken = len(server.requests)
    flag = Event()
    with pytest.raises(CancelledRunError):
        run(
            *given,
            options(server),
            outputs=broken,
            listener=cancelling(flag, after_tiles=3),
            cancel=flag,
        )
    assert unbroken < len(server.requests) < 2 * unbroken
    result = run(*given, options(server, resume=True), outputs=broken)
    assert len(server.requests) == 2 * unbroken
    assert result.metadata["tokens"]["prompt"] == 700 * unbroken
    assert broken.features.read_bytes() == whole.features.read_bytes()


def test_tokens_about_tiles_that_failed_count_too(server, make_raster, tmp_path):
    pair, outputs = dates(make_raster), Outputs(tmp_path / "c.geojson")
    null = {"choices": [{"index": 0, "message": {"content": None}}], "usage": server.usage}
    server.trouble = lambda number: null if number == 0 else None
    with pytest.raises(TilesFailedError):
        geochg.analyze(*pair, options(server), outputs=outputs)
    result = geochg.analyze(*pair, options(server, resume=True), outputs=outputs)
    assert result.metadata["tokens"]["prompt"] == 700 * len(server.requests)


def test_the_tokens_of_clues_count_too(server, make_raster):
    with serving() as other:
        other.usage = {"prompt_tokens": 10, "completion_tokens": 1}
        clued = options(server, clue_model=f"openai:{other.url}#seer")
        tokens = geochg.analyze(*dates(make_raster), clued).metadata["tokens"]
        assert len(other.requests) >= 6
        assert tokens["prompt"] == 700 * len(server.requests) + 10 * len(other.requests)


def test_a_single_image_has_its_tokens(server, make_raster):
    (image,) = dates(make_raster, 1)
    body = {"choices": [{"index": 0, "message": {"content": "No."}}], "usage": server.usage}
    server.trouble = lambda number: body
    scene_options = options(server, classes=("water",))
    tokens = geochg.describe(image, scene_options).metadata["tokens"]
    assert tokens["prompt"] == 700 * len(server.requests)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": "many"}])
def test_a_server_that_tells_none_leaves_the_metadata_without(server, make_raster, usage):
    server.usage = usage
    assert TOKENS not in geochg.analyze(*dates(make_raster), options(server)).metadata


@pytest.mark.parametrize("number", [-1, "7", 1.5, True, None])
def test_damaged_totals_are_told(tmp_path, number):
    with Journal.begin(tmp_path / "j", LAYOUT, {}, resume=False) as journal:
        journal.add([], [LAYOUT[0]], with_spent(journal, {"prompt": 5}))
        journal.add([], [LAYOUT[1]], with_spent(journal, {"prompt": 2, "untold": 1}))
        assert kept_tokens([journal]) == {"prompt": 7, "untold": 1}
        journal.keep_measured(TOKENS, {"prompt": number})
        with pytest.raises(InputError, match="how many tokens"):
            kept_tokens([journal])
