import dataclasses
import json
import math
import pkgutil
import re
import typing
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geochg
from geochg.errors import InputError, OptionError
from geochg.models.registry import backends, find_backend
from geochg.options import VERSION_KEY, AlignMode, AnalyzeOptions, Options

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
some_options = st.builds(
    AnalyzeOptions,
    model=text,
    model_options=st.dictionaries(text, st.integers() | text | st.booleans(), max_size=3),
    bands=st.lists(text, max_size=4).map(tuple),
    resolution=st.none() | st.floats(0.01, 1e4),
    aoi=st.none() | text,
    align=st.sampled_from(AlignMode),
    tile_size_px=st.integers(34, 4096),
    min_confidence=st.floats(0, 1),
    refine=st.integers(0, 3),
    vote=st.booleans(),
    resume=st.booleans(),
)


@given(some_options)
def test_options_round_trip_plain_values(options):
    assert AnalyzeOptions.from_dict(options.to_dict()) == options


@given(some_options)
def test_options_round_trip_a_file(tmp_path_factory, options):
    path = tmp_path_factory.mktemp("options") / "run.toml"
    options.to_toml(path)
    assert AnalyzeOptions.from_toml(path) == replace(options, resume=False)
    assert f'{VERSION_KEY} = "{geochg.__version__}"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tile_sise_px": 64}, "unknown option 'tile_sise_px'"),
        ({"tile_size_px": "64"}, "'tile_size_px' cannot be '64'"),
        ({"tile_size_px": True}, "cannot be True"),
        ({"tile_size_px": 64.5}, "cannot be 64.5"),
        ({"align": "sometimes"}, "cannot be 'sometimes'"),
        ({"bands": "red"}, "cannot be 'red'"),
        ({"bands": [1]}, "cannot be 1"),
        ({"model_options": ["a"]}, "cannot be"),
        ({"min_area_m2": -1}, "min area -1.0 m²"),
        ({"min_area_m2": float("inf")}, "min area inf m²"),
        ({"max_area_m2": -1}, "max area -1.0 m²"),
        ({"max_area_m2": "large"}, "'max_area_m2' cannot be 'large'"),
        ({"max_area_m2": 5, "min_area_m2": 10}, "max area 5 m² lies below min area 10 m²"),
        ({"batch_size": 0}, "batch size 0"),
        ({"refine": 4}, "refine 4"),
        ({"refine": -1}, "refine -1"),
        ({"refine": True}, "cannot be True"),
        ({"vote": 1}, "cannot be 1"),
        ({"vote": True, "overlap_px": 32}, "overlap 32 px"),
        ({"overlap_px": 256}, "overlap 256 px"),
        ({"tile_size_px": 32}, "overlap 32 px"),
        ({"tile_size_px": 33}, "must leave 2 px between tiles"),
    ],
)
def test_values_that_make_no_sense(values, message):
    with pytest.raises(OptionError, match=message) as caught:
        AnalyzeOptions.from_dict(values)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"nodata": 0}, "'nodata' cannot be 0", 'a list of texts, such as ["0", "1"]'),
        ({"nodata": "12"}, "'nodata' cannot be '12'", "a list of texts"),
        ({"nodata": (0,)}, "'nodata' cannot be 0", "text"),
        ({"align": "offf"}, "'align' cannot be 'offf'", "auto, shift, field, report or off"),
        ({"geometry": "cell"}, "'geometry' cannot be 'cell'", "outline or cells"),
        ({"match": "no"}, "'match' cannot be 'no'", "true or false"),
        ({"bands": "321"}, "'bands' cannot be '321'", "a list of texts"),
        ({"tile_size_px": 256.0}, "'tile_size_px' cannot be 256.0", "a whole number"),
        ({"max_area_m2": "500"}, "'max_area_m2' cannot be '500'", "a number"),
        ({"max_area_m2": math.nan}, "max area nan m²", "a finite number"),
        ({"model": None}, "'model' cannot be None", "text"),
        ({"model_options": "a=1"}, "'model_options' cannot be 'a=1'", "names and values"),
    ],
)
def test_options_made_in_python_have_the_types_of_their_fields(values, message, hint):
    for make in (lambda: AnalyzeOptions(**values), lambda: AnalyzeOptions.from_dict(values)):
        with pytest.raises(OptionError, match=re.escape(message)) as caught:
            make()
        assert hint in caught.value.hint


def test_options_made_in_python_are_those_of_a_file():
    made = AnalyzeOptions(
        align="off",
        bands=["3", "2"],
        tile_size_px=np.int64(64),
        max_area_m2=np.float32(500),
        min_area_m2=40,
    )
    assert made.align is AlignMode.OFF
    assert made.bands == ("3", "2")
    assert json.loads(json.dumps(made.to_dict())) == made.to_dict()
    assert AnalyzeOptions.from_dict(made.to_dict()) == made


def test_a_whole_number_serves_where_a_fraction_is_wanted():
    assert AnalyzeOptions.from_dict({"resolution": 2}).resolution == 2.0


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        AnalyzeOptions.from_toml(tmp_path / "missing.toml")
    with pytest.raises(InputError, match="cannot write"):
        AnalyzeOptions().to_toml(tmp_path / "missing" / "run.toml")


def test_provenance_leaves_out_what_does_not_shape_the_result():
    options = AnalyzeOptions(workers=3, resume=True, min_area_m2=5)
    provenance = options.shaping()
    assert provenance["min_area_m2"] == 5
    assert not {"workers", "resume", "device", "batch_size", "allow_failed_tiles"} & set(provenance)
    assert AnalyzeOptions.from_dict(provenance).shaping() == AnalyzeOptions(min_area_m2=5).shaping()


@pytest.mark.parametrize(("vote", "overlap_px"), [(False, 32), (True, 100)])
def test_provenance_has_the_overlap_that_is_used(vote, overlap_px):
    options = AnalyzeOptions(vote=vote, tile_size_px=201)
    assert options.to_dict()["overlap_px"] is None
    assert options.shaping()["overlap_px"] == options.tile_overlap_px == overlap_px
    assert AnalyzeOptions.from_dict(options.shaping()).tile_overlap_px == overlap_px
    assert replace(AnalyzeOptions(tile_size_px=201), vote=vote).tile_overlap_px == overlap_px


def option_types():
    """Every class of options there is, those of the models among them."""
    for module in pkgutil.walk_packages(geochg.__path__, "geochg."):
        if module.name.endswith(("options", "locations")):
            import_module(module.name)
    for backend in backends():
        find_backend(backend.name)
    found = [Options]
    for each in found:
        found += [kind for kind in each.__subclasses__() if kind.__module__.startswith("geochg.")]
    return found[1:]


def numbers_of(kind):
    """The fields of numbers, and of several numbers."""
    hints = typing.get_type_hints(kind)
    for each in dataclasses.fields(kind):
        kinds = {hints[each.name], *typing.get_args(hints[each.name])}
        if kinds & {int, float}:
            yield each


def holding(value, field):
    """What a field is given: the number, or several with it among them."""
    if isinstance(field.default, tuple):
        return (*field.default[:-1], value)
    return value


def test_every_number_has_a_least_and_a_greatest_and_is_finite():
    tried = 0
    for kind in option_types():
        for each in numbers_of(kind):
            least, greatest = kind.bounds()[each.name]
            for value in (least - 1, greatest * 2 + 1, math.nan, math.inf, -math.inf, 10**400):
                with pytest.raises(OptionError):
                    kind(**{each.name: holding(value, each)})
                tried += 1
    assert tried > 300


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"min_area_m2": 10**400}, "min area"),
        ({"resolution": 10**400}, "resolution"),
        ({"tile_size_px": 10**30}, "tile size of very many digits"),
        ({"tile_size_px": 2**63}, "tile size 9223372036854775808 px"),
        ({"overlap_px": 255}, "overlap 255"),
        ({"aoi": "a\x00b.gpkg"}, "aoi"),
        ({"crs": "EPSG:32633\x00"}, "crs"),
        ({"model": "vlm:\ud83c/x"}, "model"),
        ({"aoi": "a\ud83c.gpkg"}, "aoi"),
        ({"bands": ["1\x00"]}, "bands"),
    ],
)
def test_values_that_nobody_means_are_refused_in_a_line(values, names):
    with pytest.raises(OptionError, match=names) as caught:
        AnalyzeOptions.from_dict(values)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        f"tile_size_px = {'9' * 5000}",
        f"min_area_m2 = {'9' * 5000}",
        f"a = {'[' * 5000}{']' * 5000}",
        f"{'.'.join('a' * 3000)} = 1",
        "resolution = 1979-05-27",
    ],
)
def test_files_that_nobody_writes_are_refused_in_a_line(tmp_path, text):
    file = tmp_path / "o.toml"
    file.write_text(text)
    with pytest.raises((InputError, OptionError)) as caught:
        AnalyzeOptions.from_toml(file)
    assert len(str(caught.value)) < 2000
