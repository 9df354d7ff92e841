"""Whatever is read: no traceback, no wrong exit code, features where the change was put."""

import contextlib
import io
import json

import geopandas
import numpy as np
import pytest
import rasterio
from fuzz_rounds import fuzz
from fuzz_values import JSON, NUMBERS, SCALARS, TEXT, told
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from raster_kinds import KINDS, SIDE, write_pair
from rasterio.features import rasterize
from rasters import ORIGIN, UTM

from geochg.datasets.examples import read_examples
from geochg.errors import InputError, ModelError, OptionError
from geochg.files.pipes import Pipes
from geochg.models.adapters import adapter_folder
from geochg.models.endpoint.reply import NoAnswerError, answer_text
from geochg.models.model_files import fingerprint, weight_files
from geochg.options import AnalyzeOptions
from geochg.tiling.aoi import cut_to_area
from geochg.worker.serve import serve
from geochg_cli.main import main
from geochg_cli.pair_options import named_values


def geochg(*words):
    """Exit code and what was said, of the command line in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as stop,
    ):
        main([str(word) for word in words])
    return stop.value.code, out.getvalue(), errors.getvalue()


# --- rasters -------------------------------------------------------------------------------------

PLACES = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 1000),
    st.integers(8, SIDE - 72),
    st.integers(32, SIDE - 40),
)


def test_rasters_of_forty_kinds(tmp_path):
    assert len(KINDS) == 40

    def check(drawn):
        name, seed, row, col = drawn
        pair = write_pair(tmp_path, KINDS[name], seed, row, col)
        layer = tmp_path / "o.gpkg"
        layer.unlink(missing_ok=True)
        line = ("analyze", *pair, "-o", layer, "--model", "cva", "--align", "off")
        code, _, errors = geochg(*line)
        assert code == 0, f"{name}: {errors}"
        place = np.zeros((SIDE, SIDE), bool)
        place[row : row + 32, col : col + 32] = True
        found = mask_of(layer, pair[0])
        if found.shape == place.shape:
            assert found[place].mean() > 0.6, f"{name}: {found[place].mean():.0%} of it is found"
            assert found[~place].mean() < 0.05, f"{name}: {found[~place].mean():.0%} of the rest"

    fuzz(PLACES, check, most=60)


def mask_of(layer, like):
    """Which pixels of a raster the features cover; empty for one without a grid of its own."""
    with rasterio.open(like) as raster:
        if raster.crs is None:
            return np.zeros(0)
        shapes = list(geopandas.read_file(layer).to_crs(raster.crs).geometry)
        if not shapes:
            return np.zeros(raster.shape, bool)
        return rasterize(shapes, raster.shape, transform=raster.transform, dtype="uint8") > 0


def test_rasters_that_are_damaged(tmp_path):
    whole = write_pair(tmp_path, KINDS["lzw"], 0, 40, 60)
    content = whole[1].read_bytes()
    broken = tmp_path / "broken.tif"

    def check(drawn):
        at, piece, length = drawn
        at %= len(content)
        broken.write_bytes((content[:at] + piece + content[at + len(piece) :])[:length])
        code, _, errors = geochg("info", whole[0], broken, "--model", "cva", "--align", "off")
        assert code in (0, 1, 2), errors
        assert "Traceback" not in errors

    places = st.integers(0, 600) | st.integers(0, len(content))
    lengths = st.just(len(content)) | places
    fuzz(st.tuples(places, st.binary(max_size=12), lengths), check, most=80)


# --- areas ---------------------------------------------------------------------------------------

COORDINATES = NUMBERS | st.floats(14.9, 15.1) | st.floats(44.9, 45.1)
BOXES = st.lists(COORDINATES, min_size=2, max_size=6).map(lambda n: ",".join(map(str, n)))
RINGS = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=6)
WKT = st.tuples(
    st.sampled_from(["POLYGON", "MULTIPOLYGON", "LINESTRING", "POINT", "GEOMETRYCOLLECTION"]), RINGS
).map(lambda drawn: f"{drawn[0]}(({', '.join(f'{x} {y}' for x, y in drawn[1])}))")
CRS = st.sampled_from(["", "EPSG:4326;", "EPSG:32633;", "EPSG:0;", "SRID=32633;", ";", "x;"])


def test_areas(tmp_path):
    grid = GeoBox((SIDE, SIDE), ORIGIN, UTM)
    file = tmp_path / "a.geojson"

    def check(drawn):
        if isinstance(drawn, str):
            text = drawn
        else:
            text = str(file)
            file.write_text(json.dumps({"type": "FeatureCollection", "features": drawn}))
        try:
            cut, _ = cut_to_area(grid, text)
        except (InputError, OptionError) as error:
            told(error)
        else:
            assert min(cut.shape) > 0

    kinds = st.sampled_from(["Polygon", "MultiPolygon", "LineString", "Point", "Nothing"])
    shapes = st.fixed_dictionaries({"type": kinds, "coordinates": st.lists(RINGS, max_size=3)})
    features = st.lists(
        st.fixed_dictionaries(
            {"type": st.just("Feature"), "properties": st.none(), "geometry": st.none() | shapes}
        ),
        max_size=3,
    )
    texts = st.tuples(CRS, BOXES | WKT | TEXT).map("".join)
    fuzz(texts | features, check, most=200)


# --- options -------------------------------------------------------------------------------------

NAMES = st.sampled_from(sorted(AnalyzeOptions.__dataclass_fields__))


def test_options(tmp_path):
    file = tmp_path / "o.toml"

    def check(drawn):
        values, text = drawn
        file.write_bytes(text)
        for read in (
            lambda: AnalyzeOptions.from_dict(values),
            lambda: AnalyzeOptions.from_toml(file),
            lambda: named_values((text.decode("utf-8", "replace"),)),
        ):
            try:
                found = read()
            except (InputError, OptionError) as error:
                told(error)
            else:
                assert found is not None

    lines = st.tuples(NAMES, SCALARS).map(lambda pair: f"{pair[0]} = {pair[1]!r}\n")
    encoded = st.lists(lines | TEXT, max_size=4).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    )
    values = st.dictionaries(NAMES | TEXT, SCALARS | JSON, max_size=3)
    fuzz(st.tuples(values, encoded | st.binary(max_size=60)), check, most=250)


# --- rows ----------------------------------------------------------------------------------------

MEMBERS = st.sampled_from(
    "id image conversations changeflag sentences captions filename split from value raw task "
    "ground video images imgid".split()
)


def test_rows(tmp_path):
    for name in ("A.png", "B.png"):
        (tmp_path / name).write_bytes(b"")
    turn = {"from": "human", "value": "Has it changed?"}
    row = {
        "id": 1,
        "image": ["A.png", "B.png"],
        "conversations": [turn, {"from": "gpt", "value": "no"}],
    }

    def check(drawn):
        changes, suffix = drawn
        file = tmp_path / f"rows{suffix}"
        given = [{**row, **changes}] if isinstance(changes, dict) else changes
        file.write_text(json.dumps(given), encoding="utf-8")
        try:
            list(read_examples(file, tmp_path))
        except InputError as error:
            told(error)

    inner = st.recursive(
        SCALARS | st.just("A.png"),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(MEMBERS, part, max_size=3),
    )
    changes = st.dictionaries(MEMBERS, inner, max_size=3) | inner
    fuzz(st.tuples(changes, st.sampled_from([".json", ".jsonl"])), check, most=200)


# --- model folders -------------------------------------------------------------------------------

SETTINGS = st.sampled_from(
    "model_type attn_implementation _attn_implementation text_config weight_map peft_type "
    "transformers_weights auto_mapping megatron_core use_kernels".split()
)


def test_model_folders(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"")

    def check(drawn):
        settings, index = drawn
        for file in ("config.json", "adapter/adapter_config.json"):
            (tmp_path / file).write_text(json.dumps(settings))
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        try:
            files = weight_files(tmp_path)
            fingerprint(tmp_path, files)
        except ModelError as error:
            told(error)
        else:
            assert all(file.parent == tmp_path for file in files)
        try:
            adapter_folder(str(tmp_path / "adapter"))
        except ModelError as error:
            told(error)

    inner = st.recursive(SCALARS, lambda part: st.dictionaries(SETTINGS | TEXT, part, max_size=3))
    names = st.sampled_from(["a.safetensors", "../a.safetensors", "a.bin"]) | SCALARS
    index = st.fixed_dictionaries({"weight_map": st.dictionaries(TEXT, names, max_size=3) | JSON})
    fuzz(st.tuples(inner, index | JSON), check, most=150)


# --- replies of endpoints ------------------------------------------------------------------------


def test_replies_of_endpoints():
    from openai.types.chat import ChatCompletion

    def check(body):
        text = "none"
        # The documented errors of `answer_text`, at bodies that are no answer or no completion.
        with contextlib.suppress(NoAnswerError, AttributeError, TypeError, LookupError):
            text = answer_text(ChatCompletion.construct(**body), 256)
        assert isinstance(text, str)
        assert text.strip()

    parts = st.fixed_dictionaries({"type": st.sampled_from(["text", "image", "x"]), "text": JSON})
    content = SCALARS | st.lists(parts | JSON, max_size=3)
    message = st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": content},
        optional={"refusal": JSON, "tool_calls": JSON, "reasoning": JSON},
    )
    reasons = st.sampled_from(["stop", "length", "content_filter", "tool_calls", None]) | JSON
    choice = st.fixed_dictionaries({"index": st.just(0), "message": message | JSON})
    whole = st.tuples(choice, reasons).map(lambda pair: {**pair[0], "finish_reason": pair[1]})
    choices = st.lists(whole | JSON, max_size=2) | JSON
    fuzz(st.fixed_dictionaries({"choices": choices}), check, most=200)


# --- lines of the worker -------------------------------------------------------------------------

METHODS = st.sampled_from(["hello", "opens", "describe", "analyze", "ask", "cancel", "nothing"])
GIVEN = st.sampled_from(["before", "after", "outputs", "options", "question", "at", "rasters"])


def test_lines_of_the_worker():
    def check(lines):
        inbox = io.BytesIO(b"".join(line + b"\n" for line in lines))
        outbox = Kept()
        serve(Pipes(inbox, outbox))
        for line in outbox.lines:
            message = json.loads(line)
            error = message.get("error")
            assert error is None or error["code"] != -32603, error

    requests = st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "id": st.integers(0, 3) | SCALARS, "method": METHODS},
        optional={"params": st.dictionaries(GIVEN | TEXT, JSON | TEXT, max_size=4) | JSON},
    )
    encoded = (requests | JSON).map(lambda value: json.dumps(value).encode())
    fuzz(st.lists(encoded | st.binary(max_size=30), max_size=3), check, most=60)


class Kept(io.BytesIO):
    """What was written, also after it was closed."""

    @property
    def lines(self):
        return self.getvalue().splitlines()
