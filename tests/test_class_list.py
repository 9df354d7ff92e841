"""The list of a user's classes, its file, and the forms of nouns."""

import json

import pytest

from geochg.class_list import LONGEST_NAME, ClassList, ListedClass, folded_name
from geochg.classes import LEGEND
from geochg.errors import InputError, OptionError
from geochg.noun_forms import plural_of, singular_of

FULL = """
templates = ["an aerial photo of {}"]

[[classes]]
name = "solar panels"
synonyms = ["photovoltaic panels", "PV"]
description = "dark blue panels in rows"
color = "#1F4E79"
prompt = "solar panels on a roof"

[[classes]]
name = "barn"
class = "building"

[[classes]]
name = "pool"
"""


def write_file(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_class_file_is_read_whole(tmp_path):
    class_list = ClassList.read(write_file(tmp_path, FULL))
    panels, barn, pool = class_list.classes
    assert class_list.templates == ("an aerial photo of {}",)
    assert (panels.name, panels.class_name) == ("solar panels", "solar panels")
    assert panels.synonyms == ("photovoltaic panels", "PV")
    assert panels.description == "dark blue panels in rows"
    assert panels.phrase == "solar panels on a roof"
    assert (barn.class_name, barn.phrase) == ("building", "a barn")
    assert class_list.names == ("solar panels", "building", "pool")
    colors = class_list.colors
    assert (colors["solar panels"], colors["building"]) == ("#1f4e79", "#d55e00")
    assert colors["pool"] not in {item["color"] for item in LEGEND}
    assert ClassList.from_dict(class_list.to_dict(), "again") == class_list
    assert pool.to_dict() == {"name": "pool"}


def test_classes_without_a_color_get_one_that_no_other_has():
    class_list = ClassList.of_names([f"kind {letter}" for letter in "abcdefghijkl"])
    colors = class_list.colors
    assert len(set(colors.values())) == len(colors) == 12


def test_a_class_gets_a_color_also_where_the_user_took_all_that_there_are():
    own = ClassList.of_names([f"kind {letter}" for letter in "abcdefghijklmnop"]).colors
    assert len(set(own.values())) == 16
    listed = [ListedClass(name, color=color) for name, color in own.items()]
    colors = ClassList((*listed, ListedClass("rest"))).colors
    assert colors.items() > own.items()
    assert colors["rest"] in own.values()


def test_a_list_can_be_complete(tmp_path):
    file = write_file(tmp_path, "complete = true\n" + entry(name="a"))
    assert ClassList.read(file).complete
    assert ClassList.from_dict(ClassList.read(file).to_dict(), "again").complete


def test_a_part_of_a_list():
    class_list = ClassList.of_names(["pool", "barn", "dam"])
    assert class_list.of_outputs(["dam", "pool"], "x").names == ("pool", "dam")
    with pytest.raises(InputError, match="x has no class 'crane'"):
        class_list.of_outputs(["crane"], "x")


def test_questions_get_the_words_of_a_class(tmp_path):
    panels, building, pool = ClassList.read(write_file(tmp_path, FULL)).asked_classes()
    assert panels.nouns == ("solar panel", "photovoltaic panel", "PV")
    assert panels.description == "dark blue panels in rows"
    assert building.name == "building"
    assert building.nouns == ("barn",)
    assert pool.nouns == ("pool",)


def test_kinds_of_one_class_are_all_asked_about():
    entries = [{"name": "barn", "class": "building", "synonyms": ["byre"]}]
    entries += [{"name": "sheds", "class": "building"}, {"name": "water"}]
    building, water = ClassList.from_dict({"classes": entries}, "x").asked_classes()
    assert (building.nouns, building.prompt_nouns) == (("barn", "shed", "byre"), 2)
    assert water.nouns[:2] == ("water area", "river")


def test_names_alone_make_a_list():
    class_list = ClassList.of_names(["Solar  panels", "Building", "Straßen"])
    assert class_list.names == ("Solar panels", "building", "Straßen")


def entry(**values):
    return "\n".join(
        ["[[classes]]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no toml", "not a TOML file"),
        ("", "has no class"),
        ("classes = 3", "no list of tables"),
        ("classes = [1]", "class 1, is no table"),
        ("words = 1\n" + entry(name="a"), "unknown key 'words'"),
        (entry(name="a", colour="red"), "class 1, has an unknown key 'colour'"),
        (entry(color="#000000"), "class 1, has no 'name'"),
        (entry(name=" "), "'name' of"),
        (entry(name=3), "is no text"),
        (entry(name="3"), "has the name '3'"),
        (entry(name="None"), "has the name 'None'"),
        (entry(name="x" * 200), "has 200 characters"),
        (entry(name="a\u001b[31m"), "cannot be printed"),
        (entry(name="a", color="red"), "has the color 'red'"),
        (entry(name="a", synonyms="b"), "is no list"),
        (entry(name="a {cell}"), "has braces in the name"),
        (entry(name="a", description="{b}"), "has braces in the description"),
        ("complete = 1\n" + entry(name="a"), "'complete' of"),
        (entry(name="a", synonyms=[""]), "'synonyms' of"),
        (entry(name="a") + entry(name="A"), "names 'a' and 'A', which mean the same"),
        (entry(name="solar panel") + entry(name="solar panels"), "which mean the same"),
        (entry(name="pool") + entry(name="pond", synonyms=["Pools"]), "'pool' and 'Pools'"),
        (entry(name="barn", **{"class": "bulding"}), "class 1, has the class 'bulding'"),
        ('templates = ["a photo"]\n' + entry(name="a"), "no single place for a class"),
        ("".join(entry(name=f"a{'b' * n}") for n in range(1)) * 2, "twice"),
        ("classes = [" + '{name = "a"},' * 201 + "]", "201 classes"),
    ],
)
def test_class_files_that_make_no_sense(tmp_path, text, message):
    with pytest.raises(InputError, match=r"own\.toml") as caught:
        ClassList.read(write_file(tmp_path, text))
    assert message in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([" "], "is empty"),
        (["pool", "pool"], "--classes names 'pool' twice"),
        (["x" * 200], "has 200 characters"),
        (["pools", "Pool"], "which mean the same"),
        ([], "no class"),
    ],
)
def test_names_that_make_no_sense(names, message):
    with pytest.raises(OptionError) as caught:
        ClassList.of_names(names)
    assert message in caught.value.message


def test_a_name_of_the_greatest_length_is_taken():
    assert ClassList.of_names(["x" * LONGEST_NAME]).names == ("x" * LONGEST_NAME,)


def test_a_synonym_of_its_own_class_is_no_clash(tmp_path):
    file = write_file(tmp_path, entry(name="solar panel", synonyms=["Solar panels"]))
    assert ClassList.read(file).names == ("solar panel",)


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        *[("solar panel", "solar panels"), ("factory", "factories"), ("church", "churches")],
        *[("bus", "buses"), ("greenhouse", "greenhouses"), ("box", "boxes"), ("gas", "gases")],
        *[("glass", "glasses"), ("base", "bases"), ("campus", "campuses"), ("roof", "roofs")],
        *[("person", "people"), ("Leaf", "Leaves"), ("series", "series")],
    ],
)
def test_forms_of_nouns(singular, plural):
    assert plural_of(singular) == plural_of(plural) == plural
    assert singular_of(plural) == singular_of(singular) == singular


def test_other_languages_keep_their_words():
    assert plural_of("Häuser") == singular_of("Häuser") == "Häuser"
    assert folded_name("Solar-Panels") == folded_name("solar panel")
