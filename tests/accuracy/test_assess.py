"""A sample of a real run: drawn, judged, assessed; and what is refused."""

import json
import shutil
import sqlite3
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from geochg import AnalyzeOptions, Outputs, analyze
from geochg.accuracy.assess import assess_sample
from geochg.accuracy.options import SampleOptions
from geochg.accuracy.sample import draw_sample
from geochg.errors import InputError, OptionError
from geochg.report.of_layer import report_layer
from geochg.writers.layer_metadata import read_metadata
from geochg.writers.layers import write_features
from geochg_cli.group import geochg

UNITS = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of cva on images with a changed square and a part without data."""
    folder = tmp_path_factory.mktemp("assessed")
    rng = np.random.default_rng(4)
    ground = rng.normal(100, 4, (3, 300, 300))
    later = ground + rng.normal(0, 2, ground.shape)
    later[:, 60:140, 60:140] += 70
    later[:, :, 280:] = 0
    names = []
    for name, values in (("before", ground), ("after", later)):
        path = folder / f"{name}.tif"
        profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 3, "dtype": "uint8"}
        transform = rasterio.transform.from_origin(500_000, 5_200_000, 10, 10)
        with rasterio.open(
            path, "w", **profile, crs="EPSG:32633", transform=transform, nodata=0
        ) as file:
            file.write(values.clip(0, 255).astype("uint8"))
        names.append(str(path))
    outputs = Outputs(folder / "changes.gpkg", heatmap=folder / "change.tif")
    analyze(*names, AnalyzeOptions(model="cva"), outputs=outputs)
    analyze(*names, AnalyzeOptions(model="cva"), outputs=Outputs(folder / "changes.geojson"))
    return folder


@pytest.fixture
def sample(run, tmp_path):
    path = tmp_path / "sample.gpkg"
    draw_sample(str(run / "changes.gpkg"), path, SampleOptions(UNITS, with_map=True))
    return path


def judge(sample, wrong_share=0.0):
    """Judges all units as the map has them, but for some of the unchanged ones."""
    frame = gpd.read_file(sample)
    rng = np.random.default_rng(1)
    lines = ["id,reference_class,reference_change"]
    for unit, kind in zip(frame["id"], frame["map"], strict=True):
        if kind == "unchanged" and rng.random() < wrong_share:
            kind = "water appeared"
        name, change = ("", kind) if kind == "unchanged" else kind.rsplit(" ", 1)
        lines.append(f"{unit},{name},{change}")
    path = sample.with_name("judged.csv")
    path.write_text("\n".join(lines))
    return path


def test_a_sample_is_blind_and_over_the_seen_ground(run, tmp_path):
    path = tmp_path / "sample.geojson"
    drawn = draw_sample(str(run / "changes.gpkg"), path, SampleOptions(UNITS))
    frame = gpd.read_file(path)
    assert len(frame) == UNITS
    filled = frame.drop(columns=["geometry", "id"]).notna()
    assert not filled.to_numpy().any()
    metric = frame.to_crs(32633)
    assert (metric.centroid.x < 500_000 + 280 * 10).all()
    assert np.allclose(metric.area, 30 * 30, rtol=0.01)
    strata = drawn.facts["strata"]
    assert sum(stratum["units"] for stratum in strata) == UNITS
    seen_m2 = 280 * 300 * 100
    assert sum(stratum["area_m2"] for stratum in strata) == pytest.approx(seen_m2, rel=0.003)
    assert drawn.facts["unseen_m2"] == pytest.approx(20 * 300 * 100, rel=0.003)


def test_the_heatmap_tells_the_same_ground_as_the_images(run, tmp_path):
    facts = []
    for name, heatmap in (("a", ""), ("b", str(run / "change.tif"))):
        options = SampleOptions(UNITS, heatmap=heatmap)
        path = tmp_path / f"{name}.gpkg"
        facts.append(draw_sample(str(run / "changes.gpkg"), path, options).facts)
    assert facts[0] == facts[1]


def test_a_map_that_is_right_everywhere(run, sample):
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=judge(sample))
    assert result.estimates.overall.value == 1
    assert result.binary.overall.value == 1
    layer = gpd.read_file(run / "changes.gpkg")
    changed_m2 = sum(
        area.value for name, area in result.estimates.area_m2.items() if name != "unchanged"
    )
    assert changed_m2 == pytest.approx(layer["area_m2"].sum(), rel=0.01)


def test_what_the_map_missed_adds_to_the_area(run, sample):
    verdicts = judge(sample, wrong_share=0.3)
    values = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts).to_dict()
    assert values["producers"]["water appeared"]["value"] == 0
    assert values["users"]["water appeared"]["value"] is None
    area = values["area_m2"]["water appeared"]
    assert 0.1 < area["value"] / (280 * 300 * 100) < 0.5
    assert area["low"] < area["value"] < area["high"]
    assert set(values) >= {"matrix", "overall", "users", "producers", "area_m2"}


def estimates_in(value):
    """All estimates in the plain values of an assessment."""
    if isinstance(value, dict) and "value" in value:
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from estimates_in(part)


def test_each_figure_has_its_interval(run, sample):
    verdicts = judge(sample, wrong_share=0.3)
    values = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts).to_dict()
    for whole in (values, values["changed_or_not"]):
        for name in ("matrix", "overall", "users", "producers", "area_m2"):
            estimates = list(estimates_in(whole[name]))
            assert estimates
            for estimate in estimates:
                assert set(estimate) == {"value", "low", "high"}
                if estimate["value"] is not None:
                    assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_small_strata_and_units_that_were_not_judged_are_told(run, tmp_path):
    sample = tmp_path / "s.gpkg"
    draw_sample(str(run / "changes.gpkg"), sample, SampleOptions(63, with_map=True))
    lines = judge(sample).read_text(encoding="utf-8").splitlines()
    verdicts = tmp_path / "half.csv"
    verdicts.write_text("\n".join(lines[:-3]), encoding="utf-8")
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)
    assert any("judged units only: fewer than 20" in text for text in result.warnings)
    assert any(text.startswith("3 of 63 units are not judged") for text in result.warnings)
    for text in (result.to_markdown(), result.to_html()):
        assert "3 of 63 units are not judged" in text


def test_words_of_judges_are_text_in_pages_and_tables(run, sample):
    verdicts = judge(sample)
    number = gpd.read_file(sample).query("map == 'unchanged'")["id"].iloc[0]
    text = verdicts.read_text(encoding="utf-8")
    text = text.replace(f"\n{number},,unchanged\n", f"\n{number},<b>a|b,appeared\n")
    verdicts.write_text(text, encoding="utf-8")
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)
    assert "<b>" not in result.to_html()
    assert "| <b>a\\|b appeared |" in result.to_markdown()


@pytest.mark.parametrize("suffix", [".json", ".md", ".html"])
def test_the_command_line(run, sample, suffix):
    changes, target = str(run / "changes.gpkg"), sample.with_name(f"a{suffix}")
    verdicts = str(judge(sample, 0.2))
    arguments = ["assess", str(sample), "--changes", changes, "--verdicts", verdicts]
    for _ in range(2):  # the second time over its own file
        result = CliRunner().invoke(geochg, [*arguments, "-o", str(target)])
        assert result.exit_code == 0, result.output
    text = target.read_text(encoding="utf-8")
    assert "water appeared" in text
    if suffix == ".json":
        assert json.loads(text)["overall"]["low"] < 1


def test_the_command_draws_a_sample(run, tmp_path):
    target = tmp_path / "s.gpkg"
    arguments = ["sample", str(run / "changes.gpkg"), "-o", str(target), "--standard-error", "0.03"]
    result = CliRunner().invoke(geochg, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)["geochg"]
    assert facts["allocation"] == "optimal"
    assert len(gpd.read_file(target)) == sum(row["units"] for row in facts["strata"])


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_a_sample_is_replaced_without_a_word_until_someone_else_wrote_it(run, tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    for seed in (0, 1):
        drawn = draw_sample(str(run / "changes.gpkg"), path, SampleOptions(UNITS, seed=seed))
    assert drawn.facts["seed"] == 1
    assert len(gpd.read_file(path)) == UNITS


@pytest.fixture
def edited_layer(run, tmp_path):
    """Gives what writes the changes in GeoJSON, after an edit."""

    def write(edit):
        path = tmp_path / "changes.geojson"
        value = json.loads((run / "changes.geojson").read_text(encoding="utf-8"))
        edit(value)
        path.write_text(json.dumps(value), encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("field", "value"), [("class", None), ("change", None), ("change", "grown")]
)
def test_changes_without_a_class_or_direction_are_refused(edited_layer, tmp_path, field, value):
    layer = edited_layer(lambda layer: layer["features"][0]["properties"].update({field: value}))
    with pytest.raises(InputError, match="lack a class, or a direction"):
        draw_sample(layer, tmp_path / "s.gpkg", SampleOptions(UNITS))


def test_changes_are_those_that_a_review_left(edited_layer, tmp_path):
    """The first change relabelled, another one beside it rejected: not a part of the map."""

    def edit(layer):
        first = layer["features"][0]
        layer["features"] = [first, json.loads(json.dumps(first))]
        first["properties"].update(review_class="road", review="accepted")
        layer["features"][1]["properties"].update(review="rejected", review_class=None)

    layer = edited_layer(edit)
    drawn = draw_sample(layer, tmp_path / "s.gpkg", SampleOptions(UNITS))
    names = [stratum["name"].rsplit(" ", 1)[0] for stratum in drawn.facts["strata"]]
    assert names[0] == "road"
    assert drawn.facts["sample_of"]["features"] == 1

    def review_anew(layer):
        edit(layer)
        layer["features"][0]["properties"]["review_class"] = "water"

    with pytest.raises(InputError, match="before it was reviewed or edited"):
        assess_sample(str(tmp_path / "s.gpkg"), edited_layer(review_anew))


def test_an_outline_that_was_edited_is_another_layer(edited_layer, tmp_path):
    layer, sample = edited_layer(lambda layer: None), tmp_path / "s.gpkg"
    draw_sample(layer, sample, SampleOptions(UNITS, with_map=True))
    assert assess_sample(str(sample), layer, verdicts=judge(sample)).estimates.overall.value == 1

    def move(layer):
        layer["features"][0]["geometry"]["coordinates"][0][1][0] += 5e-6  # some 40 cm

    with pytest.raises(InputError, match="drawn of another change layer"):
        assess_sample(str(sample), edited_layer(move), verdicts=judge(sample))


@pytest.mark.parametrize("facts", [{"not_seen_m2": 7.0}, {"tiles": {"failed": ["r0c0"]}}])
def test_a_run_that_did_not_see_all_needs_its_heatmap(run, edited_layer, tmp_path, facts):
    layer, path = edited_layer(lambda layer: layer["geochg"].update(facts)), tmp_path / "s.gpkg"
    with pytest.raises(InputError, match="give its heatmap"):
        draw_sample(layer, path, SampleOptions(UNITS))
    drawn = draw_sample(layer, path, SampleOptions(UNITS, heatmap=str(run / "change.tif")))
    assert drawn.facts["unseen_m2"] == pytest.approx(20 * 300 * 100, rel=0.003)


def test_near_is_as_far_as_the_command_says(run, tmp_path):
    near_m2 = []
    for near in ("0", "30", "60"):
        target = str(tmp_path / f"{near}.gpkg")
        arguments = ["sample", str(run / "changes.gpkg"), "-o", target, "--near", near, "--json"]
        result = CliRunner().invoke(geochg, arguments)
        strata = json.loads(result.stdout)["geochg"]["strata"]
        near_m2 += [sum(s["area_m2"] for s in strata if s["name"] == "unchanged, near changes")]
    assert near_m2[0] == 0
    assert near_m2[2] > 1.8 * near_m2[1] > 0


@pytest.mark.parametrize("kind", ["null", "bowtie"])
def test_shapes_that_were_spoilt_are_mended_or_left_out(edited_layer, tmp_path, kind):
    def edit(layer):
        spoilt = json.loads(json.dumps(layer["features"][0]))
        west, south, east, north = gpd.GeoDataFrame.from_features([spoilt]).total_bounds
        ring = [[west, south], [east, north], [east, south], [west, north], [west, south]]
        shape = {"type": "Polygon", "coordinates": [ring]}
        spoilt["geometry"] = None if kind == "null" else shape
        layer["features"].insert(0, spoilt)

    layer, sample = edited_layer(edit), tmp_path / "s.gpkg"
    draw_sample(layer, sample, SampleOptions(UNITS, with_map=True))
    assert assess_sample(str(sample), layer, verdicts=judge(sample)).estimates.overall.value == 1


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_units_on_slanting_outlines_are_in_the_strata_they_were_drawn_of(run, tmp_path, suffix):
    """Outlines run through centres of pixels: either side is right, but the numbers must agree."""
    west, north = 500_000, 5_200_000
    corners = [(5, 5), (155, 55), (205, 205), (105, 205), (55, 155)]
    shape = shapely.Polygon([(west + 10 * x, north - 10 * y) for x, y in corners])
    frame = gpd.read_file(run / "changes.gpkg").iloc[:1]
    frame = frame.set_geometry([shape], crs=frame.crs).astype({"class": "string"})
    layer, other, sample = (tmp_path / name for name in ("c.gpkg", f"other{suffix}", "s.gpkg"))
    for path in (layer, other):
        write_features(frame, path, read_metadata(str(run / "changes.gpkg"))[1])
    draw_sample(str(layer), sample, SampleOptions(20_000, with_map=True))
    result = assess_sample(str(sample), str(other), verdicts=judge(sample))
    assert result.estimates.overall.value > 0.99


@pytest.mark.parametrize(
    "facts", [{"sources": "x"}, {"options": "x"}, {"tiles": [1]}, {"bands": 7}, {"bands": [[1]]}]
)
def test_metadata_of_another_shape_is_refused_in_a_line(edited_layer, tmp_path, facts):
    layer = edited_layer(lambda layer: layer["geochg"].update(facts))
    with pytest.raises(InputError, match="cannot be read"):
        draw_sample(layer, tmp_path / "s.gpkg", SampleOptions(UNITS))


def test_a_layer_without_changes_has_a_sample_too(edited_layer, tmp_path):
    layer, sample = edited_layer(lambda layer: layer.update(features=[])), tmp_path / "s.gpkg"
    drawn = draw_sample(layer, sample, SampleOptions(UNITS, with_map=True))
    assert [stratum["units"] for stratum in drawn.facts["strata"]] == [UNITS]
    result = assess_sample(str(sample), layer, verdicts=judge(sample))
    assert result.estimates.overall.value == 1


def test_a_sample_has_no_report(sample):
    with pytest.raises(InputError, match="is a sample"):
        report_layer(str(sample), sample.with_suffix(".html"))


def test_a_sample_without_judgements_is_refused(run, sample):
    with pytest.raises(InputError, match="has no judgement"):
        assess_sample(str(sample), str(run / "changes.gpkg"))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,building,grown", "unit 1 has the change 'grown'"),
        ("1,,appeared", "unit 1 has no class"),
        ("1,building,", "unit 1 has the change 'none'"),
        ("999,,unchanged", "has the id '999', which the sample lacks"),
        ("x,,unchanged", "has the id 'x'"),
        ("1,,unchanged\n1,,unchanged", "judges unit 1 again"),
        ("1,,unchanged", "no unit was judged of the stratum"),
    ],
)
def test_judgements_that_cannot_be_read_are_refused(run, sample, tmp_path, row, reason):
    verdicts = tmp_path / "v.csv"
    verdicts.write_text(f"id,reference_class,reference_change\n{row}\n")
    with pytest.raises(InputError, match=reason):
        assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)


def test_a_table_without_its_columns_is_refused(run, sample, tmp_path):
    verdicts = tmp_path / "v.csv"
    verdicts.write_text("id,verdict\n1,ok\n")
    with pytest.raises(InputError, match="no column 'reference_class'"):
        assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)


def test_tables_as_spreadsheets_and_people_write_them(run, sample):
    text = judge(sample).read_text(encoding="utf-8")
    header, *rows = text.splitlines()
    rows = [row.title().replace(",", ".0, ", 1) for row in rows]
    verdicts = sample.with_name("sheet.csv")
    content = "\r\n".join([header, *rows, ",,"]).replace(",", ";")
    verdicts.write_bytes(b"\xef\xbb\xbf" + content.encode())
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)
    assert result.estimates.overall.value == 1


def test_a_class_that_the_layer_lacks_is_told(run, sample):
    verdicts = judge(sample)
    number = gpd.read_file(sample).query("map == 'unchanged'")["id"].iloc[0]
    text = verdicts.read_text(encoding="utf-8").replace(
        f"\n{number},,unchanged\n", f"\n{number},watr,appeared\n"
    )
    verdicts.write_text(text, encoding="utf-8")
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)
    assert any("the layer has no watr appeared" in warning for warning in result.warnings)


def test_a_class_where_nothing_changed_is_told(run, sample):
    verdicts = judge(sample)
    text = verdicts.read_text(encoding="utf-8")
    verdicts.write_text(text.replace(",,unchanged", ",road,Unchanged", 2), encoding="utf-8")
    result = assess_sample(str(sample), str(run / "changes.gpkg"), verdicts=verdicts)
    assert result.estimates.overall.value == pytest.approx(1)
    assert any("change unchanged: 2, taken as unchanged" in text for text in result.warnings)


@pytest.fixture
def edited(run, tmp_path):
    """Gives what writes a sample in GeoJSON anew, after an edit, and assesses it."""
    path = tmp_path / "edited.geojson"
    draw_sample(str(run / "changes.gpkg"), path, SampleOptions(UNITS, with_map=True))
    value = json.loads(path.read_text(encoding="utf-8"))

    def assess(edit):
        edit(value)
        path.write_text(json.dumps(value), encoding="utf-8")
        return assess_sample(str(path), str(run / "changes.gpkg"), verdicts=None)

    return assess


@pytest.mark.parametrize(
    ("number", "reason"),
    [(None, "'none', which is no number"), ("one", "'one'"), (1.5, "'1.5'"), (2, "two units' id")],
)
def test_ids_that_were_edited_are_refused(edited, number, reason):
    with pytest.raises(InputError, match=reason):
        edited(lambda value: value["features"][0]["properties"].update(id=number))


def test_classes_named_by_numbers_are_classes(edited):
    def edit(value):
        for feature in value["features"]:
            feature["properties"].update(reference_class=7, reference_change="appeared")

    assert "7 appeared" in edited(edit).estimates.classes


@pytest.mark.parametrize("shape", [None, {"type": "Polygon", "coordinates": []}])
def test_units_that_lost_their_shape_are_refused(edited, shape):
    def edit(value):
        for feature in value["features"]:
            feature["properties"].update(reference_change="unchanged")
        value["features"][3].update(geometry=shape)

    with pytest.raises(InputError, match="some were moved"):
        edited(edit)


@pytest.mark.parametrize(
    "facts",
    [
        {"near_m": "x"},
        {"near_m": float("inf")},
        {"strata": 5},
        {"strata": [1]},
        {"strata": [{"name": "a", "units": 3, "area_m2": float("nan")}]},
    ],
)
def test_facts_that_were_edited_are_refused(edited, facts):
    with pytest.raises(InputError, match="does not tell the strata"):
        edited(lambda value: value["geochg"].update(facts))


def test_the_sample_of_another_layer_is_refused(run, sample, tmp_path):
    other = Path(shutil.copy(run / "changes.gpkg", tmp_path / "other.gpkg"))
    with sqlite3.connect(other) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE changes SET class = 'road' WHERE fid = 1")
    with pytest.raises(InputError, match="drawn of another change layer"):
        assess_sample(str(sample), str(other), verdicts=judge(sample))


def test_a_layer_that_is_no_sample_is_refused(run):
    with pytest.raises(InputError, match="is no sample"):
        assess_sample(str(run / "changes.gpkg"), str(run / "changes.gpkg"))


def test_images_that_are_gone_are_told(run, tmp_path):
    layer = shutil.copy(run / "changes.gpkg", tmp_path / "c.gpkg")
    options = SampleOptions(UNITS, before=str(tmp_path / "gone.tif"))
    with pytest.raises(InputError, match="images of the run cannot be read"):
        draw_sample(str(layer), tmp_path / "s.gpkg", options)
    assert not (tmp_path / "s.gpkg").exists()


def test_the_heatmap_of_another_run_is_refused(run, tmp_path):
    options = SampleOptions(UNITS, heatmap=str(run / "after.tif"))
    with pytest.raises(InputError, match="is not the heatmap"):
        draw_sample(str(run / "changes.gpkg"), tmp_path / "s.gpkg", options)


@pytest.mark.parametrize(
    "settings",
    [
        {"units": 0},
        {"standard_error": 0.7},
        {"allocation": "fair"},
        {"near_m": -1.0},
        {"footprint_m": 0.0},
        {"near_m": float("nan")},
        {"seed": -1},
    ],
)
def test_options_that_make_no_sense(settings):
    with pytest.raises(OptionError):
        SampleOptions(**settings)


def test_a_sample_of_no_units_is_refused_and_not_drawn_with_the_usual_number(run, tmp_path):
    arguments = ["sample", str(run / "changes.gpkg"), "-n", "0", "-o", str(tmp_path / "s.gpkg")]
    result = CliRunner().invoke(geochg, arguments)
    assert isinstance(result.exception, OptionError)
    assert "units" in str(result.exception)
