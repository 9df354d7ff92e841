"""Trees: the graph against scikit-learn, and what cross-validation by place sees."""

import numpy as np
import onnxruntime
import pytest

from geochg.evaluation.scores import auroc
from geochg.training.trees.fitting import fit_trees, place_folds
from geochg.training.trees.graph import trees_graph
from geochg.training.trees.options import TreeClassifier
from geochg.training.trees.scoring import held_out_calls

RANDOM = np.random.default_rng(0)
PLACE = np.repeat(np.arange(8), 10)


def told_apart(columns=6):
    """Features of which two tell, not one by itself, whether a tile changed."""
    vectors = RANDOM.normal(size=(len(PLACE), columns)).astype(np.float32)
    return vectors, vectors[:, 0] + vectors[:, 3] > 0


@pytest.mark.parametrize("classifier", [TreeClassifier.BOOSTING, TreeClassifier.FOREST])
def test_the_graph_answers_as_scikit_learn(classifier):
    vectors, changed = told_apart()
    vectors = np.round(vectors, 1)  # many values lie just at a threshold
    fitted = fit_trees(vectors, changed, PLACE, classifier)
    session = onnxruntime.InferenceSession(trees_graph(fitted, vectors.shape[1]))
    others = np.round(RANDOM.normal(size=(500, 6)), 2).astype(np.float32)
    trees = fitted.model
    if classifier is TreeClassifier.FOREST:
        limits = np.concatenate([tree.tree_.threshold for tree in trees.estimators_])
    else:
        limits = np.concatenate([p.nodes["num_threshold"] for (p,) in trees._predictors])
    at_limits = np.resize(limits.astype(np.float32), (500, 6))
    for rows in (vectors, others, at_limits):
        (told,) = session.run(None, {"features": rows})
        np.testing.assert_allclose(told[:, 0], fitted.probability(rows), atol=2e-6)
    assert auroc(changed, fitted.probability(vectors)) > 0.98
    assert auroc(changed, fitted.held_out) > 0.8


def test_what_tells_only_the_place_is_worth_nothing_elsewhere():
    changed = np.isin(PLACE, (0, 3, 5, 6))
    vectors = np.eye(8, dtype=np.float32)[PLACE]
    fitted = fit_trees(vectors, changed, PLACE)
    assert auroc(changed, fitted.held_out) < 0.7  # by tiles instead of places it would be 1


def test_no_place_is_in_two_folds_and_probabilities_are_calibrated():
    vectors, changed = told_apart()
    folds = place_folds(changed, PLACE, 0)
    assert all(len(np.unique(folds[PLACE == place])) == 1 for place in range(8))
    assert set(folds) == set(range(5))
    rare = changed & (RANDOM.random(len(changed)) < 0.4)
    fitted = fit_trees(vectors, rare, PLACE)
    assert fitted.held_out.mean() == pytest.approx(rare.mean(), abs=0.03)


def test_the_better_classifier_is_kept():
    vectors, changed = told_apart()
    best, *each = (
        fit_trees(vectors, changed, PLACE, kind)
        for kind in (TreeClassifier.BEST, TreeClassifier.BOOSTING, TreeClassifier.FOREST)
    )
    scores = {fitted.classifier: auroc(changed, fitted.held_out) for fitted in each}
    assert best.classifier == max(scores, key=scores.get)


def test_thresholds_of_a_fold_are_those_of_the_others():
    fold = np.repeat((0, 1), 4)
    likely = np.array([1, 2, 3, 4, 11, 12, 13, 14], float)
    changed = np.array([0, 0, 1, 1, 0, 0, 1, 1], bool)
    # Above 12.5 in the second fold, so nothing of the first, and the other way all.
    assert held_out_calls(likely, changed, fold).tolist() == [False] * 4 + [True] * 4
