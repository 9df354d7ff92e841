"""How texts compare with the texts that people wrote."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean

from geochg.evaluation.caption_metrics import CiderD, coco_rouge_l, words
from geochg.evaluation.optional_metrics import OptionalMetrics, bert_f1, metric_module
from geochg.extras import require_packages

NEEDED = ("sacrebleu", "rouge_score")
"""Modules without which no text is scored; `bert_score` only where BERTScore is asked for."""

CAPTION_METRICS = (
    *(f"bleu_{n}" for n in (1, 2, 3, 4)),
    *("meteor", "rouge_1", "rouge_2", "rouge_l", "rouge_l_coco", "cider_d", "bert_score"),
)
DIALOGUE_METRICS = tuple(name for name in CAPTION_METRICS if name not in ("bleu_1", "bleu_3"))
"""The metrics of captions, and those of answers to free questions, in the order of a table."""

_ROUGE = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
"""Our name of each metric by that of `rouge_score`."""


def check_packages(*, with_bert: bool) -> None:
    """Refuses to score texts where a package for it is missing, without importing it.

    Args:
        with_bert: Whether BERTScore is asked for.

    Raises:
        MissingExtraError: For the first package that is not installed.
    """
    require_packages("evaluate", *NEEDED)
    if with_bert:
        require_packages("evaluate", "bert_score")


class ReferenceCorpus:
    """The references of all items, counted once for all texts that are compared with them.

    Args:
        texts: References of each item; at least one.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.texts = [list(group) for group in texts]
        self.words = [[words(text) for text in group] for group in self.texts]

    @cached_property
    def cider(self) -> CiderD:
        """CIDEr-D, in which the rarity of n-grams is counted over all items, not over a group."""
        return CiderD(self.words)


class TextScores:
    """The scores of the texts that one model or baseline gives.

    Args:
        texts: Text of each item.
        references: References of the same items.
        metrics: Names of the metrics wanted.
        optional: Optional metrics of this machine.
    """

    def __init__(
        self,
        texts: Sequence[str],
        references: ReferenceCorpus,
        metrics: Sequence[str],
        optional: OptionalMetrics,
    ) -> None:
        self._texts, self._references = list(texts), references
        self._metrics, self._optional = metrics, optional
        self._words = [words(text) for text in texts]
        self._by_item = self._item_scores()

    def of(self, indexes: Sequence[int]) -> dict[str, float]:
        """The scores of some of the items, as fractions (CIDEr-D up to 10).

        Args:
            indexes: Indexes of the items; at least one.

        Raises:
            RunError: If METEOR fails.
        """
        scores = {name: fmean(item[i] for i in indexes) for name, item in self._by_item.items()}
        texts = [" ".join(self._words[i]) for i in indexes]
        references = [[" ".join(text) for text in self._references.words[i]] for i in indexes]
        for n in (1, 2, 3, 4):
            if f"bleu_{n}" in self._metrics:
                scores[f"bleu_{n}"] = bleu(texts, references, n)
        if "meteor" in self._metrics and self._optional.meteor is not None:
            scores["meteor"] = self._optional.meteor.score(texts, references)
        return {name: scores[name] for name in self._metrics if name in scores}

    def of_items(self) -> dict[str, list[float]]:
        """The score of each item, of the metrics whose score of a group is their mean."""
        return self._by_item

    def _item_scores(self) -> dict[str, list[float]]:
        """The metrics whose score of a group is the mean over its items."""
        scores: dict[str, list[float]] = {}
        if not set(_ROUGE.values()).isdisjoint(self._metrics):
            scores |= rouge(self._texts, self._references.texts)
        if "rouge_l_coco" in self._metrics:
            scores["rouge_l_coco"] = list(map(coco_rouge_l, self._words, self._references.words))
        if "cider_d" in self._metrics:
            scores["cider_d"] = self._references.cider.scores(self._words)
        if "bert_score" in self._metrics and self._optional.bert is not None:
            scores["bert_score"] = bert_f1(self._texts, self._references.texts, self._optional.bert)
        return {name: items for name, items in scores.items() if name in self._metrics}


def bleu(texts: Sequence[str], references: Sequence[Sequence[str]], longest: int) -> float:
    """Corpus BLEU, 0-1, of n-grams up to a length, all alike (Papineni et al. 2002).

    By sacrebleu, with neither its tokenization nor smoothing: what the caption papers report,
    which is not what sacrebleu gives by itself.

    Args:
        texts: Sentences of words joined by blanks.
        references: References of each sentence; at least one.
        longest: Length of the longest n-grams.
    """
    metric = metric_module("sacrebleu.metrics").BLEU(
        tokenize="none", smooth_method="none", max_ngram_order=longest, force=True
    )
    # sacrebleu wants the first references of all items, then the second, and so on.
    streams = [
        [group[n] if n < len(group) else None for group in references]
        for n in range(max(map(len, references)))
    ]
    return float(metric.corpus_score(list(texts), streams).score) / 100


def rouge(texts: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, list[float]]:
    """ROUGE-1, 2 and L: F of each text, with stems, of its best reference (Lin 2004).

    Args:
        texts: Texts to score.
        references: References of each text; at least one.
    """
    scorer = metric_module("rouge_score.rouge_scorer").RougeScorer(list(_ROUGE), use_stemmer=True)
    best = [
        scorer.score_multi(list(group), text) for text, group in zip(texts, references, strict=True)
    ]
    return {name: [float(s[key].fmeasure) for s in best] for key, name in _ROUGE.items()}
