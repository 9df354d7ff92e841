"""Classes that a user names, told apart by a CLIP."""

import pytest
from clip_factory import save, tiny_clip

from geochg.errors import OptionError
from geochg.models.clip.classes import usual_classes
from geochg.models.loading import check_classes, load_configured_model, mapped_questions
from geochg.options import AnalyzeOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tiny_clip(), tmp_path_factory.mktemp("clip"))


def load(folder, **values):
    options = AnalyzeOptions(model=f"clip:{folder}", **values)
    model = load_configured_model(options)
    check_classes(options, model)
    return model, options


def test_named_classes_stand_among_geochgs_kinds_of_ground(folder):
    model, options = load(folder, classes=("vineyard", "lakes", "road"))
    names = [item.name for item in model.classes]
    assert names[:3] == ["vineyard", "lakes", "road"]
    usual_names = [item.name for item in usual_classes().classes]
    # "lake" and "road" are named already.
    assert names[3:] == [name for name in usual_names if name not in ("lake", "road")]
    assert {"vineyard", "lakes", "water"} <= set(model.capabilities.classes)
    assert options.wanted_classes == ("vineyard", "lakes", "road")
    # It is told at loading; its questions are of no words.
    assert not any(question.classes for question in mapped_questions(model, options))


FILE = """
templates = ["{} from above"]

[[classes]]
name = "vineyard"

[[classes]]
name = "farm"
prompt = "a farm with barns"
class = "building"
"""


def test_a_complete_file_holds_all_that_is_told_apart(folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(FILE)
    open_list, _ = load(folder, classes_file=str(file))
    assert len(open_list.classes) == 2 + len(usual_classes().classes)
    file.write_text(f"complete = true{FILE}")
    model, options = load(folder, classes_file=str(file))
    assert [item.phrase for item in model.classes] == ["a vineyard", "a farm with barns"]
    assert options.wanted_classes == ("vineyard", "building")
    assert len({model.identity.checksum, open_list.identity.checksum}) == 2
    # The option of its own says the same of such a file.
    own_option, _ = load(folder, model_options={"classes": str(file)})
    assert own_option.classes == model.classes
    assert own_option.identity == model.identity


def test_one_class_alone_is_never_all_there_is(folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('complete = true\n[[classes]]\nname = "vineyard"\n')
    model, _ = load(folder, classes_file=str(file))
    assert len(model.classes) > 2
    # What else there is counts as one background, as without the word `complete`.
    assert model._dense.kinds.names == ("vineyard", "")


def test_two_ways_of_naming_classes_are_one_too_many(folder, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(FILE)
    with pytest.raises(OptionError, match="names a class file beside"):
        load(folder, classes=("pool",), model_options={"classes": str(file)})
