"""Whether the confidence of features is the share of them that are right."""

import geopandas as gpd
import numpy as np
import pytest
from rasters import ORIGIN, UTM
from shapely.geometry import Polygon, box

from geochg.datasets.georeferenced_mask import GeoreferencedMask
from geochg.evaluation.reliability import ScoredFeatures, reliability, scored_features


def mask_of(changed, known=None):
    known = np.ones_like(changed) if known is None else known
    return GeoreferencedMask(changed & known, known, ORIGIN, UTM)


def pixels(top, bottom, left, right):
    """The rectangle of these pixels, on the ground."""
    x0, y0 = ORIGIN * (left, top)
    x1, y1 = ORIGIN * (right, bottom)
    return box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def layer(*features):
    shapes, confidence = zip(*features, strict=True)
    return gpd.GeoDataFrame({"confidence": confidence}, geometry=list(shapes), crs=UTM)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_a_feature_is_right_where_more_than_half_of_its_known_pixels_changed(crs):
    changed, known = np.zeros((60, 60), bool), np.ones((60, 60), bool)
    changed[:30] = True
    known[:, 40:] = False
    features = layer(
        (pixels(10, 40, 0, 10), 0.9),  # 20 rows changed, 10 not
        (pixels(20, 50, 12, 20), 0.8),  # 10 and 20
        (pixels(25, 35, 22, 30), 0.7),  # half and half
        (pixels(0, 20, 32, 60), 0.6),  # all that is known changed
        (pixels(0, 20, 42, 60).buffer(-1), 0.5),  # nothing known
        (Polygon(), 0.4),
    ).to_crs(crs)
    result = scored_features(features, mask_of(changed, known))
    assert result.confidence.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert result.right.tolist() == [True, False, False, True]


def test_a_map_without_features_has_none_that_are_judged():
    empty = gpd.GeoDataFrame({"confidence": []}, geometry=[], crs=UTM)
    result = scored_features(empty, mask_of(np.ones((4, 4), bool)))
    assert len(result.confidence) == len(result.right) == 0
    assert [each.features for each in reliability([result])] == [0] * 5
    assert {each.right for each in reliability([result])} == {None}


def test_features_of_all_maps_are_counted_by_their_confidence():
    one = ScoredFeatures(np.array([0.0, 0.19, 0.2, 0.5, 1.0]), np.array([0, 1, 1, 0, 1], bool))
    other = ScoredFeatures(np.array([0.55, 0.9, 0.8]), np.array([1, 0, 1], bool))
    bins = reliability([one, other])
    assert [(each.low, each.high) for each in bins] == [
        (0.0, 0.2),
        (0.2, 0.4),
        (0.4, 0.6),
        (0.6, 0.8),
        (0.8, 1.0),
    ]
    assert [each.features for each in bins] == [2, 1, 2, 0, 3]
    assert [each.right for each in bins] == pytest.approx([0.5, 1, 0.5, None, 2 / 3])
    assert bins[4].confidence == pytest.approx(0.9)
