import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geochg.errors import InputError, OptionError
from geochg.tiling.bands import Band, choose_bands, describe_bands
from geochg.tiling.gray import COLORS

RGB = [Band(1, "", "red"), Band(2, "", "green"), Band(3, "", "blue")]
RGBN = [*RGB, Band(4, "NIR", "nir")]
BGRN = [
    Band(1, "B02", "blue"),
    Band(2, "B03", "green"),
    Band(3, "B04", "red"),
    Band(4, "B08", "nir"),
]
UNNAMED = [Band(n, "", "") for n in range(1, 5)]


def test_bands_are_named_by_description_then_colour(make_raster):
    path = make_raster(
        "a.tif",
        np.ones((3, 8, 8), np.uint8),
        alpha=np.ones((8, 8), bool),
        colors=[ColorInterp.red, ColorInterp.undefined, ColorInterp.undefined],
        names=["", "B08", "Band 4", ""],
    )
    with rasterio.open(path) as dataset:
        bands = describe_bands(dataset, alpha=4)
    assert [band.name for band in bands] == ["red", "nir", "band 4", "alpha"]
    assert [band.number for band in bands if not band.alpha] == [1, 2, 3]


def test_alpha_is_data_only_when_asked_for():
    marked = [*RGB, Band(4, "", "", alpha=True)]
    assert choose_bands(marked, RGBN, (), "all").names == ("red", "green", "blue")
    assert choose_bands(marked, marked, ("red", "nir=4"), "all").before == (1, 4)


def test_all_shared_bands_are_paired_by_name_in_the_before_order():
    choice = choose_bands(RGBN, BGRN, (), "all")
    assert choice.names == ("red", "green", "blue", "nir")
    assert choice.before == (1, 2, 3, 4)
    assert choice.after == (3, 2, 1, 4)


def test_a_band_only_one_date_has_is_left_out():
    assert choose_bands(RGBN, RGB, (), "all").names == ("red", "green", "blue")


def test_unnamed_bands_go_by_position_and_say_so():
    choice = choose_bands(UNNAMED, UNNAMED, (), "all")
    assert choice.before == choice.after == (1, 2, 3, 4)
    assert "--bands" in choice.note


def test_unnamed_bands_take_the_other_dates_names():
    assert choose_bands(UNNAMED, RGBN, (), "all").names == ("red", "green", "blue", "nir")


def test_different_numbers_of_unnamed_bands_are_refused():
    with pytest.raises(InputError, match=r"4 bands.*3"):
        choose_bands(UNNAMED, UNNAMED[:3], (), "all")


def test_contradicting_positions_are_refused():
    mixed = [Band(1, "", "red"), Band(2, "", "")]
    other = [Band(1, "", "blue"), Band(2, "", "")]
    with pytest.raises(InputError, match="red in the before image and blue"):
        choose_bands(mixed, other, (), "all")


@pytest.mark.parametrize("token", ["4", "nir", "NIR"])
def test_a_band_is_found_by_number_role_or_label(token):
    choice = choose_bands(RGBN, RGBN, (token,), "all")
    assert (choice.names, choice.before) == (("nir",), (4,))


def test_names_find_different_numbers_in_each_date():
    choice = choose_bands(RGBN, BGRN, ("red", "nir"), "all")
    assert choice.before == (1, 4)
    assert choice.after == (3, 4)


def test_roles_can_be_given_to_unnamed_bands():
    choice = choose_bands(UNNAMED, UNNAMED, ("red=1", "nir=4"), "all")
    assert choice.names == ("red", "nir")
    assert choice.before == (1, 4)


def test_a_role_can_be_another_band_at_each_date():
    wanted = ("red=1/3", "green=2/2", "blue=3/blue", "nir=4/1")
    choice = choose_bands(UNNAMED, [*UNNAMED[:3], Band(4, "", "blue")], wanted, "rgb+nir")
    assert choice.names == (*COLORS, "nir")
    assert choice.before == (1, 2, 3, 4)
    assert choice.after == (3, 2, 4, 1)
    assert choose_bands(UNNAMED, UNNAMED, ("1/4",), "all").after == (4,)
    with pytest.raises(OptionError, match="the after image has no band '5'"):
        choose_bands(UNNAMED, UNNAMED, ("red=1/5",), "all")
    with pytest.raises(OptionError, match="names no band"):
        choose_bands(UNNAMED, UNNAMED, ("red=1/",), "all")


def test_a_slash_may_be_part_of_a_name():
    named = [Band(1, "VV/VH", ""), Band(2, "", "red")]
    choice = choose_bands(named, named, ("vv/vh",), "all")
    assert choice.before == choice.after == (1,)


def test_a_missing_band_names_the_file_and_what_it_has():
    with pytest.raises(OptionError, match=r"b\.tif has no band 'nir'") as caught:
        choose_bands(RGBN, RGB, ("nir",), "all", ("a.tif", "b.tif"))
    assert "1 (red), 2 (green), 3 (blue)" in caught.value.hint


@pytest.mark.parametrize("token", ["red=", "="])
def test_a_token_that_names_no_band_is_refused(token):
    with pytest.raises(OptionError, match="names no band"):
        choose_bands(UNNAMED, UNNAMED, (token,), "all")


def test_a_number_is_a_number_even_where_a_label_looks_like_one():
    labelled = [Band(1, "4", ""), Band(2, "", ""), Band(3, "", ""), Band(4, "1", "")]
    assert choose_bands(labelled, labelled, ("4",), "all").before == (4,)


def test_one_band_twice_is_refused():
    with pytest.raises(OptionError, match="twice"):
        choose_bands(RGBN, RGBN, ("red", "1"), "all")


def test_a_picture_is_red_green_blue_wherever_they_lie():
    choice = choose_bands(RGBN, BGRN, (), "rgb")
    assert choice.names == ("red", "green", "blue")
    assert choice.after == (3, 2, 1)


def test_a_picture_of_unnamed_bands_takes_the_first_three_and_says_so():
    choice = choose_bands(UNNAMED, UNNAMED, (), "rgb")
    assert choice.before == (1, 2, 3)
    assert "first three" in choice.note


def test_a_picture_of_many_unnamed_bands_is_not_guessed():
    many = [Band(n, "", "") for n in range(1, 14)]
    with pytest.raises(InputError, match="red, green and blue"):
        choose_bands(many, many, (), "rgb")
    assert choose_bands(many, many, ("4", "3", "2"), "rgb").before == (4, 3, 2)


def test_a_picture_out_of_a_wider_choice_is_taken_by_role():
    choice = choose_bands(UNNAMED, UNNAMED, ("nir=4", "blue=3", "green=2", "red=1"), "rgb")
    assert choice.before == (1, 2, 3)
    with pytest.raises(OptionError, match="2 bands make no picture"):
        choose_bands(UNNAMED, UNNAMED, ("1", "2"), "rgb")


NAMED = {
    role: Band(number, role, role)
    for number, role in enumerate(("swir", "nir", "green", "red", "blue"), start=1)
}


@pytest.mark.parametrize(
    ("roles", "names", "numbers"),
    [
        (("red", "green", "blue", "nir"), ("red", "green", "blue", "nir"), (4, 3, 5, 2)),
        (("swir", "nir", "green"), ("swir", "nir", "green"), (1, 2, 3)),
        (("red", "green", "blue"), ("red", "green", "blue"), (4, 3, 5)),
    ],
)
def test_models_of_infrared_get_it_where_both_dates_name_it(roles, names, numbers):
    bands = [NAMED[role] for role in roles]
    choice = choose_bands(bands, bands, (), "rgb+nir")
    assert (choice.names, choice.before, choice.after) == (names, numbers, numbers)


def test_infrared_of_one_date_alone_is_left_out():
    color = [NAMED[role] for role in ("red", "green", "blue")]
    assert choose_bands([*color, NAMED["nir"]], color, (), "rgb+nir").names == COLORS


def test_named_false_color_is_no_picture_for_models_of_red_green_and_blue():
    bands = [NAMED[role] for role in ("swir", "nir", "green")]
    alike = "no file says which bands are red, green and blue: swir, nir, green\n"
    with pytest.raises(InputError, match=alike):
        choose_bands(bands, bands, (), "rgb")


def test_infrared_is_taken_among_the_bands_one_names():
    wanted = ("red=1", "green=2", "blue=3", "nir=4")
    choice = choose_bands(UNNAMED, UNNAMED, wanted, "rgb+nir")
    assert choice.names == (*COLORS, "nir")
    assert choice.before == (1, 2, 3, 4)
