"""Names are the words of docs/glossary.md, which newcomers search for."""

import ast
import inspect
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import geochg
from geochg.models import base

ROOT = Path(__file__).parent.parent
LIBRARY = ("geochg", "cli")
PACKAGES = (*LIBRARY, "qgis_plugin")
# Words that stood for what the glossary names otherwise; none may come back in a name.
GONE = (
    *("pupil", "lesson", "course", "exam", "rehearsal", "beginning", "remarks", "framing"),
    *("adapting", "opening", "telling", "watching", "stopping", "eyes", "speaker", "interview"),
    *("asking", "unfinished", "judges", "plain_talk", "wording", "turns", "grounds", "chosen"),
    *("surveying", "answering", "drawn", "happening", "seeing", "speaking", "talks", "finder"),
    *("talk", "conversation", "conversations"),
)
IRREGULAR = {
    *("begun", "shown", "told", "said", "seen", "known", "found", "made", "held", "kept", "left"),
    *("drawn", "written", "taken", "given", "grown", "chosen", "cut", "built", "met", "spoken"),
    *("broken", "hidden", "thrown", "thought", "brought", "taught", "sold", "laid", "lain", "led"),
    *("lost", "meant", "spent", "bent", "sent", "understood", "become", "gone", "done", "been"),
}
# One word that ends like a participle and is a noun of the field.
NOUNS = {"embedding", "encoding", "heading", "padding", "reading", "setting", "string", "warning"}
EFFECTS = re.compile(
    r"\.(write_text|write_bytes|mkdir|unlink|rename|rmdir|touch|start|kill|terminate"
    r"|rmtree|copyfile|savez?|execute|backward|step|commit)\("
)
MOST_PARTICIPLES = 0.02
# Words that say nothing of what a parameter or a local holds.
EMPTY_NAMES = frozenset(
    """
    what work one ones each every there here found said told most how way who whom whose why where
    when then thus now more less both all any some same such none nothing something anything
    everything of by to so was is are be own seen shown given known kept made done asked taken held
    lit begun wanted chosen meant got gone put let down off aside beside across within apart along
    later again whole sure enough much many few several this that these those it them they him
    which while though thing things stuff tried learned used sent named placed moved opened stored
    saved written drawn collected located listed covered answered refused compared averaged
    outlined masked spoken thought heard looked grown built met brought left_out counted
    """.split()
)


@cache
def _parsed_modules():
    paths = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def _modules(*folders):
    for path, tree in _parsed_modules():
        if path.relative_to(ROOT).parts[0] in folders:
            yield path, tree


def _is_property(node):
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def _functions():
    for path, tree in _modules(*LIBRARY):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not _is_property(node):
                yield path.relative_to(ROOT), node


def _is_bare_participle(name):
    word = name.strip("_")
    if "_" in word or word in NOUNS:
        return False
    return word in IRREGULAR or re.fullmatch(r"[a-z]+(ed|ing)", word) is not None


def test_what_counts_as_a_bare_participle():
    assert all(map(_is_bare_participle, ("told", "_merged", "answering", "kept")))
    assert not any(map(_is_bare_participle, ("merged_cells", "write_rows", "encoding", "tell")))


def test_no_public_class_has_the_name_of_another():
    homes = defaultdict(set)
    for path, tree in _modules(*LIBRARY):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(str(path.relative_to(ROOT)))
    assert {name: sorted(paths) for name, paths in homes.items() if len(paths) > 1} == {}


def test_functions_with_an_effect_begin_with_a_verb():
    wrong = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in _functions()
        if _is_bare_participle(node.name) and EFFECTS.search(ast.unparse(node))
    ]
    assert wrong == []


def test_bare_participles_are_rare():
    names = [node.name for _, node in _functions()]
    share = sum(map(_is_bare_participle, names)) / len(names)
    assert share < MOST_PARTICIPLES, f"{share:.1%} of {len(names)} functions"


@cache
def _class_names():
    """The names of the classes of each module, by its path."""
    return {
        path: [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        for path, tree in _modules(*PACKAGES)
    }


@pytest.mark.parametrize("word", GONE)
def test_words_that_are_gone_name_no_file_and_no_class(word):
    camel = "".join(part.capitalize() for part in word.split("_"))
    wrong = []
    for path, names in _class_names().items():
        if word in path.stem.split("_") or word == path.stem:
            wrong.append(str(path.relative_to(ROOT)))
        for name in names:
            if camel in re.findall("[A-Z][a-z]+", name):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


def _names(tree):
    """Every name that a module gives: of functions, classes, parameters, locals and fields."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_a_dialogue_has_one_name():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path, tree in _modules(*PACKAGES)
        for line, name in _names(tree)
        if re.search("talk|conversation", name, re.IGNORECASE)
    ]
    assert wrong == []


def _parameters_and_locals(tree):
    """Names of parameters, and of what functions assign; fields are named in formats too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    yield inner.lineno, inner.id


def test_parameters_and_locals_say_what_they_hold():
    wrong = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path, tree in _modules(*PACKAGES)
        for line, name in _parameters_and_locals(tree)
        if name in EMPTY_NAMES
    }
    assert sorted(wrong) == []


def test_words_that_are_gone_stand_in_no_table_of_the_glossary():
    rows = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    words = {row.split("|")[1].strip(" `*").lower() for row in rows if row.startswith("| ")}
    assert len(words) >= 40
    assert words & set(GONE) == set()


def test_functions_and_files_stay_small():
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in _functions()
        if node.end_lineno - node.lineno >= 60
    ]
    long += [
        str(path.relative_to(ROOT))
        for path, _ in _modules(*LIBRARY)
        if len(path.read_text(encoding="utf-8").splitlines()) > 400
    ]
    assert long == []


def test_no_private_name_of_another_module_is_imported():
    wrong = [
        f"{path.relative_to(ROOT)}: {node.module}.{name.name}"
        for path, tree in _modules(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geochg")
        for name in node.names
        if name.name.startswith("_") and not name.name.startswith("__")
    ]
    assert wrong == []


def _public_docstrings():
    """Docstrings of the public surface and of `models.base`, with those of its members."""
    owners = [getattr(geochg, name) for name in geochg.__all__ if name != "__version__"]
    for owner in [*owners, base]:
        yield owner.__name__, owner.__doc__
        names = [
            name
            for name, member in vars(owner).items()
            if getattr(member, "__module__", None) == owner.__name__
        ]
        members = [getattr(owner, name) for name in names] if inspect.ismodule(owner) else [owner]
        for member in filter(inspect.isclass, members):
            yield member.__name__, member.__doc__
            for name in dir(member):
                part = inspect.getattr_static(member, name)
                is_ours = "geochg" in str(getattr(part, "__module__", ""))
                is_method = isinstance(part, (property, classmethod))
                is_method |= inspect.isfunction(part) and is_ours
                if is_method and not name.startswith("_"):
                    yield f"{member.__name__}.{name}", part.__doc__


def test_public_docstrings_begin_with_a_noun_or_a_verb():
    clauses = "What|How|Which|Where|When|Anything|Something|See|Asked|Called|Given"
    start = re.compile(rf"(?:\A|^ +\w+: )(?:{clauses})\b(?!ver)[^\n]*", re.MULTILINE)
    docstrings = dict(_public_docstrings())
    assert len(docstrings) > 60
    wrong = [
        f"{name}: {match[0].strip()}"
        for name, text in docstrings.items()
        for match in start.finditer(text or "What: no docstring")
    ]
    assert wrong == []
