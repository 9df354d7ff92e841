"""How texts compare with what people wrote."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Self

from geochg.evaluation.bert import bert_f1
from geochg.evaluation.cider import CiderD
from geochg.evaluation.coco_rouge import coco_rouge_l
from geochg.evaluation.meteor import Meteor, meteor_lacks
from geochg.evaluation.optional_packages import metric_module
from geochg.evaluation.tokenize import words

NEEDED = ("sacrebleu", "rouge_score")
"""Modules without which no text is scored; `bert_score` only where BERTScore is asked for."""

CAPTION_METRICS = (
    *(f"bleu_{n}" for n in (1, 2, 3, 4)),
    *("meteor", "rouge_1", "rouge_2", "rouge_l", "rouge_l_coco", "cider_d", "bert_score"),
)
TALK_METRICS = tuple(name for name in CAPTION_METRICS if name not in ("bleu_1", "bleu_3"))
"""The metrics of captions, and those of answers to free questions, in the order of a table."""

_ROUGE = frozenset({"rouge_1", "rouge_2", "rouge_l"})
"""What `rouge` gives."""


@dataclass(frozen=True)
class OptionalMetrics:
    """The programs that only some machines have.

    Attributes:
        meteor: Started; None where it is left out.
        bert: Folder of an encoder; None where BERTScore is left out.
        notes: What is left out, and why.
    """

    meteor: Meteor | None = None
    bert: Path | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def here(cls, stack: ExitStack, bert: Path | None, *, meteor: bool = True) -> Self:
        """Those of this machine, which end with the stack.

        Raises:
            RunError: If METEOR is here and cannot be started.
        """
        lacks = meteor_lacks() if meteor else "you (--no-meteor)"
        program = None if lacks else stack.enter_context(Meteor())
        notes = [f"METEOR is left out: it needs {lacks}"] if lacks and meteor else []
        if bert is None:
            notes.append("BERTScore is left out: name an encoder's folder with --bert")
        return cls(program, bert, tuple(notes))


class ReferenceCorpus:
    """What people wrote of each item, counted once for all that is compared with it.

    Args:
        texts: Of each item; at least one.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.texts = [list(each) for each in texts]
        self.words = [[words(one) for one in each] for each in self.texts]

    @cached_property
    def cider(self) -> CiderD:
        """How rare n-grams are is counted over all items, whatever group is scored."""
        return CiderD(self.words)


class TextScores:
    """The scores of one way to answer.

    Args:
        said: Of each item.
        references: Of the same items.
        metrics: Those wanted.
        judges: Of this machine.
    """

    def __init__(
        self,
        said: Sequence[str],
        references: ReferenceCorpus,
        metrics: Sequence[str],
        judges: OptionalMetrics,
    ) -> None:
        self._said, self._references = list(said), references
        self._metrics, self._judges = metrics, judges
        self._words = [words(text) for text in said]
        self._each = self._of_each()

    def of(self, places: Sequence[int]) -> dict[str, float]:
        """The scores of some of the items, as fractions (CIDEr-D up to 10).

        Args:
            places: Which; at least one.

        Raises:
            RunError: If METEOR fails.
        """
        found = {name: fmean(each[p] for p in places) for name, each in self._each.items()}
        said = [" ".join(self._words[p]) for p in places]
        references = [[" ".join(one) for one in self._references.words[p]] for p in places]
        for n in (1, 2, 3, 4):
            if f"bleu_{n}" in self._metrics:
                found[f"bleu_{n}"] = bleu(said, references, n)
        if "meteor" in self._metrics and self._judges.meteor is not None:
            found["meteor"] = self._judges.meteor.score(
                [self._words[p] for p in places], references
            )
        return {name: found[name] for name in self._metrics if name in found}

    def _of_each(self) -> dict[str, list[float]]:
        """The metrics whose score of a group is the mean over its items."""
        found: dict[str, list[float]] = {}
        if not _ROUGE.isdisjoint(self._metrics):
            found |= rouge(self._said, self._references.texts)
        if "rouge_l_coco" in self._metrics:
            found["rouge_l_coco"] = [
                coco_rouge_l(one, each)
                for one, each in zip(self._words, self._references.words, strict=True)
            ]
        if "cider_d" in self._metrics:
            found["cider_d"] = self._references.cider.scores(self._words)
        if "bert_score" in self._metrics and self._judges.bert is not None:
            found["bert_score"] = bert_f1(self._said, self._references.texts, self._judges.bert)
        return {name: each for name, each in found.items() if name in self._metrics}


def bleu(said: Sequence[str], references: Sequence[Sequence[str]], longest: int) -> float:
    """Corpus BLEU, 0-1, of n-grams up to a length, all alike (Papineni et al. 2002).

    By sacrebleu, with neither its tokenization nor smoothing: what the caption papers report,
    which is not what sacrebleu gives by itself.

    Args:
        said: Sentences of words joined by blanks.
        references: Of each; at least one.
        longest: Length of the longest n-grams.
    """
    metric = metric_module("sacrebleu.metrics").BLEU(
        tokenize="none", smooth_method="none", max_ngram_order=longest, force=True
    )
    most = max(map(len, references))
    # One list for each place of a reference; those that an item lacks are None.
    streams = [[r[n] if n < len(r) else None for r in references] for n in range(most)]
    return float(metric.corpus_score(list(said), streams).score) / 100


def rouge(said: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, list[float]]:
    """ROUGE-1, 2 and L: F of each text, with stems, of its best reference (Lin 2004).

    Args:
        said: Texts.
        references: Of each; at least one.
    """
    names = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
    scorer = metric_module("rouge_score.rouge_scorer").RougeScorer(list(names), use_stemmer=True)
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    for one, each in zip(said, references, strict=True):
        best = scorer.score_multi(list(each), one)
        for theirs, name in names.items():
            found[name].append(float(best[theirs].fmeasure))
    return found
