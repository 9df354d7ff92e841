"""Classes that a user names, with an endpoint that tells the truth of drawn ground."""

import numpy as np
import pytest
from chat_server import pictures_of, serving, texts_of
from named_ground import PANELS, POOL, SHED, ground, paint, true_answer

import geochg
from geochg.errors import InputError, OptionError
from geochg.models.loading import load_configured_model
from geochg.options import AlignMode, AnalyzeOptions
from geochg.pipeline.outputs import Outputs

SIDE_PX, PART_PX = 192, 64  # two tiles by two without overlap, each of 96 px


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as running:

        def truth(number):
            messages = running.requests[number]["messages"]
            return lambda _: true_answer(texts_of(messages)[-1], *pictures_of(messages))

        running.trouble = truth
        yield running


@pytest.fixture
def pair(make_raster):
    """Panels appear top left, a pool bottom right, and a shed goes top right."""
    before, after = ground(SIDE_PX), ground(SIDE_PX)
    paint(before, SHED, 10, 150, 20)
    paint(after, PANELS, 4, 4, 24)
    paint(after, POOL, 160, 160, 24)
    return make_raster("before.tif", before), make_raster("after.tif", after)


def options(server, **values):
    return AnalyzeOptions(
        model=f"openai:{server.url}#seer", tile_size_px=96, overlap_px=0, align=AlignMode.OFF,
        **values,
    )  # fmt: skip


def test_named_classes_become_features_where_they_are(server, pair, tmp_path):
    out = tmp_path / "changes.gpkg"
    result = geochg.analyze(
        *pair, options(server, classes=(PANELS, POOL)), outputs=Outputs(features=out)
    )
    features = result.features
    assert sorted(zip(features["class"], features["change"], strict=True)) == [
        (PANELS, "appeared"), (POOL, "appeared")
    ]  # fmt: skip
    by_class = features.set_index("class").geometry
    assert by_class[PANELS].centroid.x < by_class[POOL].centroid.x
    assert by_class[PANELS].centroid.y > by_class[POOL].centroid.y
    assert by_class[PANELS].area == pytest.approx(by_class[POOL].area)
    asked = [texts_of(request["messages"])[-1] for request in server.requests]
    assert not any("road" in question or "shed" in question for question in asked)
    assert result.metadata["classes"] == [{"name": PANELS}, {"name": POOL}]
    colors = result.metadata["colors"]
    assert set(colors) == {PANELS, POOL}
    assert len(set(colors.values())) == 2


FILE = """
[[classes]]
name = "solar panels"
synonyms = ["photovoltaic panels"]
description = "dark blue panels in rows"
color = "#1f4e79"

[[classes]]
name = "swimming pool"

[[classes]]
name = "shed"
class = "building"
"""


def test_a_class_file_gives_words_colors_and_output_classes(server, pair, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(FILE)
    result = geochg.analyze(*pair, options(server, classes_file=str(file)))
    assert set(result.features["class"]) == {PANELS, POOL, "building"}
    assert result.metadata["colors"][PANELS] == "#1f4e79"
    assert result.metadata["colors"]["building"] == "#d55e00"
    asked = texts_of(server.requests[0]["messages"])[-1]
    assert "(solar panels: dark blue panels in rows.)" in asked
    some = geochg.analyze(*pair, options(server, classes_file=str(file), classes=(POOL,)))
    assert set(some.features["class"]) == {POOL}


def test_a_prompt_of_ones_own_names_the_classes(server, pair):
    prompts = {"presence": "Did {classes} change? Answer yes or no."}
    geochg.analyze(*pair, options(server, classes=(POOL,), prompts=prompts))
    asked = [texts_of(request["messages"])[-1] for request in server.requests]
    assert "Did swimming pools change? Answer yes or no." in asked


def test_json_and_other_words_are_taken(server, pair):
    def loose(number):
        messages = server.requests[number]["messages"]
        text = true_answer(texts_of(messages)[-1], *pictures_of(messages))
        if text.startswith(PANELS):
            text = '```json\n{"Solar_Panels": ["top-left"], "swimming pools": [], "roads": []}\n```'
        return lambda _: text

    server.trouble = loose
    result = geochg.analyze(*pair, options(server, classes=(PANELS, POOL)))
    assert set(result.features["class"]) == {PANELS}


def test_a_run_with_other_classes_is_not_resumed(server, pair, tmp_path):
    out, file = Outputs(features=tmp_path / "out.geojson"), tmp_path / "own.toml"
    file.write_text(FILE)
    values = {"classes_file": str(file), "batch_size": 1}
    server.trouble = lambda number: 400 if number > 1 else lambda _: "No."
    with pytest.raises(geochg.errors.GeochgError):
        geochg.analyze(*pair, options(server, **values), outputs=out)
    for text in (FILE.replace("dark blue", "black"), FILE.replace("pool", "pond")):
        file.write_text(text)
        with pytest.raises(OptionError, match="the classes"):
            geochg.analyze(*pair, options(server, **values, resume=True), outputs=out)
    file.write_text(FILE)
    with pytest.raises(OptionError, match="prompts"):
        geochg.analyze(
            *pair,
            options(server, **values, resume=True, prompts={"presence": "Any {classes}?"}),
            outputs=out,
        )
    server.trouble = lambda number: lambda _: "No."
    geochg.analyze(*pair, options(server, **values, resume=True), outputs=out)
    assert out.features.is_file()


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"classes": ("solar panels",)}, "builtin knows no class 'solar panels'", "openai"),
        (
            {"classes_file": "own.toml"},
            "builtin takes no class file",
            "any words: clip, labels, openai, vlm",
        ),
        ({"classes": (POOL,), "model": "irmad"}, "irmad knows no class", "any words"),
    ],
)
def test_models_of_known_classes_name_those_and_the_others(
    pair, tmp_path, monkeypatch, values, message, hint
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(FILE)
    with pytest.raises(OptionError) as caught:
        geochg.analyze(*pair, AnalyzeOptions(**values))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("names", [("",), ("x" * 200,), ("pool", "Pools"), ("pool", "pool")])
def test_names_that_make_no_sense_are_refused(names):
    with pytest.raises(OptionError):
        AnalyzeOptions(classes=names)


def test_a_class_that_the_file_does_not_have(server, pair, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(FILE)
    with pytest.raises(InputError, match="has no class 'crane'"):
        geochg.analyze(*pair, options(server, classes_file=str(file), classes=("crane",)))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"locate": "In the {cell} part, any {thing}?"}, "not asked about each class by itself"),
        ({"caption": "What of {thing}?"}, "unknown field {thing}"),
        ({"presence": "Any {class}?"}, "unknown field {class}"),
        ({"locate": "In the {cell} part?"}, "but about no class"),
    ],
)
def test_fields_that_mean_nothing_are_refused(server, prompts, message):
    with pytest.raises(OptionError) as caught:
        load_configured_model(options(server, prompts=prompts))
    assert message in caught.value.message
    assert caught.value.hint


def test_closer_looks_divide_the_cells_of_named_classes(server, make_raster):
    before, after = ground(SIDE_PX), ground(SIDE_PX)
    paint(after, PANELS, 2, 2, 12)
    pair = make_raster("before.tif", before), make_raster("after.tif", after)
    whole = geochg.analyze(*pair, options(server, classes=(PANELS,)))
    closer = geochg.analyze(*pair, options(server, classes=(PANELS,), refine=1))
    assert len(whole.layer) == len(closer.layer) == 1
    assert closer.features.area.sum() < whole.features.area.sum()
    assert np.isfinite(closer.features["confidence"]).all()
