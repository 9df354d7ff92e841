"""Fields of shifts: when they are taken, and what tiles are like that are read through them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from displacements import DISPLACEMENTS, displaced, example
from rasterio.transform import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject
from rasters import ORIGIN, texture

from geochg.options import AlignMode, AnalyzeOptions
from geochg.records import PixelWindow
from geochg.tiling.field_fitting import MAX_GRADIENT, borne_out, fit_field
from geochg.tiling.pair import open_pair
from geochg.tiling.preparation import Preparation, prepare
from geochg.tiling.read import PairReader
from geochg.tiling.shift import Match, Shift
from geochg.tiling.shift_field import ShiftField, bilinear_basis

PAIRS = {"ponds": ("ponds_2012", "ponds_2014"), "dubai": ("dubai_2015", "dubai_2018")}
MARGIN_PX = 12


@pytest.fixture
def written(make_raster):
    """Rasters of an example pair: before, after, and after displaced."""

    def write(name, displacement, **placing):
        before, after = PAIRS[name]
        (before, before_place), (after, after_place) = example(before), example(after)
        return (
            make_raster("before.tif", before, **{**before_place, **placing}),
            make_raster("after.tif", after, **{**after_place, **placing}),
            make_raster(
                "displaced.tif", displaced(after, displacement), **{**after_place, **placing}
            ),
        )

    return write


def prepared(before, after, mode=AlignMode.AUTO, options=None):
    pair = open_pair(before, after, options or AnalyzeOptions(), "all")
    preparation = prepare(pair, mode)
    # As a resumed run has it, out of its journal.
    return pair, Preparation.from_dict(json.loads(json.dumps(preparation.to_dict())))


def read_after(pair, preparation, window=None):
    height_px, width_px = pair.grid.shape
    inner = PixelWindow(MARGIN_PX, height_px - MARGIN_PX, MARGIN_PX, width_px - MARGIN_PX)
    with PairReader(preparation.plan(pair)) as reader:
        _, after, valid = reader.read_values(window or inner)
    return after, valid


def left(before, after, moved, mode, options=None):
    """Mean difference between the after image, corrected, and as it was not displaced."""
    pair, preparation = prepared(before, moved, mode, options)
    values, valid = read_after(pair, preparation)
    own_pair, own = prepared(before, after, AlignMode.SHIFT, options)
    truth, true_valid = read_after(own_pair, own)
    valid = valid & true_valid
    assert valid.mean() > 0.6
    return float(np.abs(values - truth)[:, valid].mean()), preparation


class TestReading:
    @pytest.mark.parametrize("name", PAIRS)
    @pytest.mark.parametrize("kind", DISPLACEMENTS)
    def test_a_field_brings_back_what_one_shift_does_not(self, written, name, kind):
        before, after, moved = written(name, DISPLACEMENTS[kind])
        with_field, preparation = left(before, after, moved, AlignMode.AUTO)
        with_shift, _ = left(before, after, moved, AlignMode.SHIFT)
        assert preparation.field is not None
        assert preparation.corrected
        assert with_field < 0.7 * with_shift
        assert preparation.field.residual_px < 0.67 * preparation.field.shift_residual_px

    @pytest.mark.parametrize("kind", ["ramp", "hill"])
    def test_what_is_corrected_is_where_the_content_lies(self, written, kind):
        before, after, moved = written("dubai", DISPLACEMENTS[kind])
        _, own = prepared(before, after)
        pair, preparation = prepared(before, moved)
        height_px, width_px = pair.grid.shape
        rows, cols = (part.ravel() for part in np.mgrid[:height_px:9, :width_px:9])
        shifts = preparation.field.shifts_at(cols, rows)
        expected = own.shift.dx_px + DISPLACEMENTS[kind](cols / width_px, rows / height_px)
        assert np.mean(np.abs(shifts[:, 0] - expected)) < 0.25
        assert np.mean(np.abs(shifts[:, 1] - own.shift.dy_px)) < 0.25

    def test_overlapping_tiles_read_the_same_pixels(self, written):
        before, _, moved = written("ponds", DISPLACEMENTS["ramp"])
        pair, preparation = prepared(before, moved)
        assert preparation.field is not None
        first, _ = read_after(pair, preparation, PixelWindow(100, 356, 90, 346))
        second, _ = read_after(pair, preparation, PixelWindow(324, 500, 314, 570))
        assert (first[:, 224:, 224:] == second[:, :32, :32]).all()

    def test_another_crs_and_pixel(self, written, make_raster):
        before, after, moved = written("ponds", DISPLACEMENTS["ramp"])
        other_after, other_moved = (
            in_degrees(path, make_raster, f"{path.stem}_degrees.tif") for path in (after, moved)
        )
        with_field, preparation = left(before, other_after, other_moved, AlignMode.AUTO)
        with_shift, _ = left(before, other_after, other_moved, AlignMode.SHIFT)
        assert preparation.field is not None
        assert with_field < 0.7 * with_shift

    def test_a_rotated_grid(self, written):
        turned = ORIGIN * Affine.rotation(25)
        paths = written("dubai", DISPLACEMENTS["ramp"], crs="EPSG:32640", transform=turned)
        with_field, preparation = left(*paths, AlignMode.AUTO)
        with_shift, _ = left(*paths, AlignMode.SHIFT)
        assert preparation.field is not None
        assert with_field < 0.7 * with_shift

    def test_holes_stay_holes_and_are_not_matched(self, make_raster):
        (before, placing), (after, _) = example("ponds_2012"), example("ponds_2014")
        moved = displaced(after, DISPLACEMENTS["ramp"])
        moved[:, 450:, 500:] = 0
        pair, preparation = prepared(
            make_raster("before.tif", before, **placing),
            make_raster("moved.tif", moved, nodata=0, **placing),
        )
        assert preparation.field is not None
        assert preparation.field.windows_tried < 99
        _, valid = read_after(pair, preparation, PixelWindow(0, 723, 0, 934))
        assert not valid[455:, 505:].any()
        assert valid[20:430, 20:900].mean() > 0.99

    def test_an_area_of_interest_has_a_field_of_its_own(self, written):
        before, _, moved = written("dubai", DISPLACEMENTS["ramp"])
        pair = open_pair(before, moved, AnalyzeOptions(), "all")
        west, south, east, north = pair.grid.boundingbox.bbox
        aoi = f"{west},{south},{(west + east) / 2},{north}"
        area, preparation = prepared(before, moved, AlignMode.FIELD, AnalyzeOptions(aoi=aoi))
        assert preparation.field.width_px == area.grid.shape[1] < 330
        assert preparation.field.range_px[1] < 4.5  # the other half lies up to 6 px off

    def test_a_shift_as_far_as_small_windows_reach_does_not_hide_a_field(self, written):
        before, after, moved = written("dubai", lambda x, y: 14 + 6 * x)
        with_field, preparation = left(before, after, moved, AlignMode.AUTO)
        assert preparation.field is not None
        assert preparation.field.range_px[1] > 19
        assert with_field < 0.7 * left(before, after, moved, AlignMode.SHIFT)[0]


def in_degrees(path, make_raster, name):
    """A raster warped to degrees, with pixels of another size."""
    import rasterio

    with rasterio.open(path) as dataset:
        transform, width_px, height_px = calculate_default_transform(
            dataset.crs, "EPSG:4326", dataset.width, dataset.height, *dataset.bounds
        )
        values = np.zeros((dataset.count, height_px, width_px), dataset.dtypes[0])
        reproject(
            rasterio.band(dataset, list(dataset.indexes)),
            values,
            dst_transform=transform,
            dst_crs="EPSG:4326",
            resampling=Resampling.cubic,
        )
    return make_raster(name, values, crs="EPSG:4326", transform=transform, nodata=0)


class TestChoice:
    @pytest.mark.parametrize("name", PAIRS)
    @pytest.mark.parametrize("shift_px", [0.0, 2.3, -7.6])
    def test_one_shift_stays_one(self, written, name, shift_px):
        before, _, moved = written(name, lambda x, y: 0 * x + shift_px)
        pair, preparation = prepared(before, moved)
        assert preparation.field is None
        assert preparation == prepare(pair, AlignMode.SHIFT)
        assert preparation.alignment(10)["method"] == "shift"

    def test_a_field_that_is_asked_for_leaves_one_shift_nearly_as_it_is(self, written):
        before, _, moved = written("dubai", lambda x, y: 0 * x + 2.3)
        _, preparation = prepared(before, moved, AlignMode.FIELD)
        field, shift = preparation.field, preparation.shift
        assert np.abs(np.subtract(field.dx_px, shift.dx_px)).mean() < 0.3
        assert np.abs(np.subtract(field.dy_px, shift.dy_px)).mean() < 0.3

    @pytest.mark.parametrize("seed", range(3))
    def test_clouds_make_no_field(self, make_raster, seed):
        (before, placing), (after, _) = example("dubai_2015"), example("dubai_2018")
        cloud = texture(*after.shape[1:], 3, seed=seed).astype(after.dtype) * 40
        after[:, 200:600, 100:500] = cloud[:, 200:600, 100:500]
        _, preparation = prepared(
            make_raster("before.tif", before, **placing), make_raster("after.tif", after, **placing)
        )
        assert preparation.field is None
        assert preparation.corrected

    def test_other_ground_makes_no_field(self, make_raster):
        (before, placing), (after, _) = example("ponds_2012"), example("ponds_2014")
        after[:, :, 400:] = after[:, ::-1, 400:][:, :, ::-1]
        for mode in (AlignMode.AUTO, AlignMode.FIELD):
            _, preparation = prepared(
                make_raster("before.tif", before, **placing),
                make_raster("after.tif", after, **placing),
                mode,
            )
            assert preparation.field is None or preparation.field.range_px[1] < 1

    def test_a_small_pair_has_too_few_windows(self, make_raster):
        values, placing = example("dubai_2015")
        values = values[:, :200, :200]
        moved = displaced(values, DISPLACEMENTS["seam"])
        for mode in (AlignMode.AUTO, AlignMode.FIELD):
            _, preparation = prepared(
                make_raster("a.tif", values, **placing),
                make_raster("b.tif", moved, **placing),
                mode,
            )
            assert preparation.field is None

    def test_a_report_corrects_nothing(self, written):
        before, _, moved = written("dubai", DISPLACEMENTS["seam"])
        pair, preparation = prepared(before, moved, AlignMode.REPORT)
        assert preparation.alignment(10)["method"] == "field"
        assert not preparation.corrected
        assert preparation.plan(pair).after.field is None


def flat_field(**changes):
    field = ShiftField(300, 400, 3, 4, (2.0,) * 12, (-1.0,) * 12, 0.2, 1.0, 20, 30)
    return replace(field, **changes)


class TestField:
    @pytest.mark.parametrize(
        ("changes", "clear", "better"),
        [
            ({}, True, True),
            ({"windows_used": 11}, False, False),
            ({"windows_tried": 61}, False, False),
            ({"residual_px": 1.6, "shift_residual_px": 9.0}, False, False),
            ({"residual_px": 0.7}, True, False),
            ({"residual_px": 0.1, "shift_residual_px": 0.45}, True, False),
            ({"dx_px": (0.4,) * 12, "dy_px": (0.0,) * 12}, True, False),
        ],
    )
    def test_thresholds(self, changes, clear, better):
        field = flat_field(**changes)
        assert (field.is_clear, field.is_better) == (clear, better)

    def test_facts_are_json_in_pixels_and_metres(self):
        ramp = flat_field(dx_px=(0.0, 2.0, 4.0, 6.0) * 3, dy_px=(0.0,) * 12)
        facts = json.loads(json.dumps(ramp.to_dict(10.0)))
        assert (facts["median_dx_px"], facts["median_dy_px"]) == (3, 0)
        assert (facts["least_px"], facts["greatest_px"], facts["greatest_m"]) == (0, 6, 60)
        assert facts["spread_m"] == 10 * facts["spread_px"] == 30

    def test_shifts_between_control_points(self):
        ramp = flat_field(dx_px=(0.0, 2.0, 4.0, 6.0) * 3)
        shifts = ramp.shifts_at(np.array([0, 200, 400, 900]), np.array([0, 150, 300, -5]))
        assert shifts[:, 0] == pytest.approx([0, 3, 6, 6])
        assert shifts[:, 1] == pytest.approx(-1)

    def test_pieces_cover_a_window_once_and_meet(self):
        rng = np.random.default_rng(0)
        field = flat_field(dx_px=tuple(rng.uniform(0, 1, 12)), dy_px=tuple(rng.uniform(0, 1, 12)))
        window = PixelWindow(30, 250, -20, 420)
        count = np.zeros((220, 440), int)
        for part, to_image in field.pieces(window):
            count[part.slices_within(window)] += 1
            x, y = (part.width_px / 2, part.height_px / 2)
            at = np.array([part.col_start + x]), np.array([part.row_start + y])
            expected = field.shifts_at(*at)[0] + (at[0][0], at[1][0])
            assert to_image * (x, y) == pytest.approx(tuple(expected), abs=0.2)
        assert (count == 1).all()

    @pytest.mark.parametrize("changes", [{"rows": 4}, {"rows": 1, "cols": 12}, {"dx_px": (1.0,)}])
    def test_another_lattice_is_refused(self, changes):
        with pytest.raises(ValueError, match="field"):
            flat_field(**changes)


def matches_of(shifts_at, count=8, side_px=64):
    places = [side_px * (number + 0.5) for number in range(count)]
    centers = [(x, y) for y in places for x in places]
    return [Match(*shifts_at(x, y), 3.0, (x, y)) for x, y in centers]


class TestFitting:
    SHAPE, LATTICE = (512, 512), (9, 9)
    SHIFT = Shift(0.0, 0.0, 0.1, 9, 9)

    def test_noise_makes_no_field(self):
        rng = np.random.default_rng(1)
        matches = matches_of(lambda x, y: rng.uniform(-8, 8, 2))
        assert fit_field(matches, self.SHIFT, self.SHAPE, self.LATTICE) is None

    def test_a_plane_is_met_exactly_between_wrong_matches(self):
        rng = np.random.default_rng(2)
        matches = matches_of(
            lambda x, y: rng.uniform(-8, 8, 2) if rng.random() < 0.3 else (x / 100, -y / 200)
        )
        field = fit_field(matches, self.SHIFT, self.SHAPE, self.LATTICE)
        assert field.residual_px < 0.1
        assert field.shifts_at(np.array([0, 500]), np.array([0, 500])) == pytest.approx(
            np.array([[0, 0], [5, -2.5]]), abs=0.4
        )

    def test_no_shift_lies_far_beyond_those_of_the_windows(self):
        """A cloud hides all but a corner, in which shifts rise steeply."""
        matches = [m for m in matches_of(lambda x, y: (x / 40, 0)) if max(m.center_px) < 300]
        field = fit_field(matches, self.SHIFT, self.SHAPE, self.LATTICE)
        assert max(field.dx_px) <= 300 / 40 + 1

    def test_a_field_is_smoothed_until_it_stretches_little(self):
        matches = matches_of(lambda x, y: (0.0 if x < 256 else 12.0, 0.0))
        field = fit_field(matches, self.SHIFT, self.SHAPE, self.LATTICE)
        steps = np.abs(np.diff(np.reshape(field.dx_px, self.LATTICE), axis=1))
        assert 1 < steps.max() <= MAX_GRADIENT * 64 + 1e-9

    def test_only_matches_like_their_neighbours_count(self):
        matches = matches_of(lambda x, y: (7.0, 7.0) if x == y == 224 else (1.0, 0.0))
        counts = borne_out(matches, 2)
        assert counts.sum() == 63
        assert borne_out(matches[:1], 1).tolist() == [False]

    def test_control_points_share_a_place(self):
        basis = bilinear_basis(np.array([0, 512, 700]), np.array([0, 256, 5]), (512, 512), (3, 3))
        assert basis.sum(axis=1) == pytest.approx(1)
        assert basis[0, 0] == basis[1, 5] == 1
