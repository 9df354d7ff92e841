"""The tool `series`: breaks of a drawn flood, as an assistant sees them."""

import pytest
from drawn_dates import draw_dates

FAST = {"block": "4", "land_cover": False}


@pytest.fixture(scope="module")
def flood(server):
    (server.folder / "flood").mkdir()
    drawn = draw_dates(server.folder / "flood")
    return drawn, [f"flood/{path.name}" for path in drawn.paths]


def test_a_flood_is_found_with_its_date_and_place(server, flood):
    drawn, images = flood
    progress = []
    values = server.answer("series", progress, images=images, output="breaks.gpkg", **FAST)
    assert values["status"]["break"] == 4
    (row,) = values["breaks"]
    assert row["break_date"] == drawn.days[drawn.flood]
    assert abs(row["area_m2"] - 6400) < 50
    assert abs(row["lon"] - 15.001) < 1e-3
    assert len(values["dates"]) == 40
    assert values["outputs"]["features"].endswith("breaks.gpkg")
    assert (server.folder / "breaks.gpkg").exists()
    numbers = [number for number, _ in progress]
    assert numbers == sorted(set(numbers))
    assert numbers


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"images": ["flood"]}, "no file"),
        ({"images": []}, "no image is given"),
        ({"images": "flood/*.tif"}, "is no list"),
        ({"images": ["/etc/passwd"]}, "outside the folders"),
        ({"zones": "../zones.gpkg"}, "leads upwards"),
        ({"block": "wide"}, "makes no sense"),
        ({"model": "clip:someone/model"}, "may not use the model"),
        ({"model_options": {}}, "unknown argument"),
        ({"plots": "plots"}, "unknown argument"),
        ({"output": "../b.gpkg"}, "leads upwards"),
        ({"method": "magic"}, "no method 'magic'"),
    ],
)
def test_bad_arguments_of_a_series_are_refused(server, flood, arguments, text):
    _, images = flood
    given = {"images": images[:3], "output": "never.gpkg", **FAST, **arguments}
    assert text in server.refusal("series", **given)
    assert not (server.folder / "never.gpkg").exists()


def test_a_short_series_is_refused_with_the_dates_that_are_needed(server, flood):
    _, images = flood
    line = server.refusal("series", images=images[:3], output="never.gpkg", **FAST)
    assert "too short" in line
