"""Every error of `link/` has a message and a hint, which take its values; read without QGIS."""

import ast
import string
import sys
from pathlib import Path

import pytest

from geochg_qgis.link.errors import LinkError, exit_error

FOLDER = Path(sys.modules["geochg_qgis"].__file__).parent
MADE_ELSEWHERE = {"worker-error", "worker-error-without-hint"}
"""By `error_of`, from a mapping."""


def constants(node):
    """The texts that an expression may come to."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return set()


def raised():
    """Codes with the names of the values that go along."""
    found = {}
    for path in (FOLDER / "link").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "from_code":
                names = {keyword.arg for keyword in node.keywords}
                found.update(dict.fromkeys(constants(node.args[0]), names))
    from geochg_qgis.link.installation import FAILURE_CODES

    return found | {code: {"mb"} for code in FAILURE_CODES.values()}


def known():
    """Codes with their messages and hints."""
    tree = ast.parse((FOLDER / "link_messages.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Tuple):
                    yield key.value, [_text(each) for each in value.elts]


def _text(node):
    return (node.args[0] if isinstance(node, ast.Call) else node).value


def test_every_error_has_a_message_and_every_message_an_error():
    codes = [code for code, _ in known()]
    assert len(codes) == len(set(codes)) > 30
    assert set(codes) == set(raised())


@pytest.mark.parametrize(("code", "texts"), list(known()), ids=lambda value: str(value)[:30])
def test_messages_take_the_values_of_their_error(code, texts):
    message, hint = texts
    assert message
    assert hint or code == "worker-error-without-hint"
    taken = {
        name.partition(".")[0]
        for text in texts
        for _, name, _, _ in string.Formatter().parse(text)
        if name
    }
    # The worker's answer is spread out as it comes.
    given = {"message", "hint"} if code in MADE_ELSEWHERE else raised()[code]
    assert taken <= given


def test_every_error_of_the_link_has_a_code():
    for path in (FOLDER / "link").glob("*.py"):
        if path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                assert not name.endswith(("Error", "Cancelled", "Refused")) or name == "OSError", (
                    f"{path.name}: {ast.unparse(node)}"
                )


def test_a_coded_error_can_be_read_in_a_log_too():
    error = exit_error(Path("p"), 9, "the end", has_answered=True)
    assert str(error) == "worker-stopped (exit_code=9)"
    assert error.detail == "the end"
    assert (error.message, error.hint) == (str(error), "")
    assert LinkError("words", "hint").code == ""
