from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geochg
from geochg.errors import InputError, OptionError
from geochg.options import VERSION_KEY, AlignMode, AnalyzeOptions

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
some_options = st.builds(
    AnalyzeOptions,
    model=text,
    model_options=st.dictionaries(text, st.integers() | text | st.booleans(), max_size=3),
    bands=st.lists(text, max_size=4).map(tuple),
    resolution=st.none() | st.floats(0.01, 1e4),
    aoi=st.none() | text,
    align=st.sampled_from(AlignMode),
    tile_size_px=st.integers(33, 4096),
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
        ({"min_area_m2": -1}, "minimum area -1"),
        ({"min_area_m2": float("inf")}, "min area m2 inf"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"refine": 4}, "refine 4"),
        ({"refine": -1}, "refine -1"),
        ({"refine": True}, "cannot be True"),
        ({"vote": 1}, "cannot be 1"),
        ({"vote": True, "overlap_px": 32}, "overlap 32 px"),
        ({"overlap_px": 256}, "overlap 256 px"),
        ({"tile_size_px": 32}, "overlap 32 px"),
    ],
)
def test_values_that_make_no_sense(values, message):
    with pytest.raises(OptionError, match=message) as caught:
        AnalyzeOptions.from_dict(values)
    assert caught.value.hint


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
