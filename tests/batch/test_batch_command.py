"""`geochg batch` on the command line: what it prints, and its exit codes."""

import json
import shutil

import pytest

from geochg_cli.main import main

pytestmark = pytest.mark.usefixtures("marker")


@pytest.fixture
def geochg(capsys):
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return run


def test_a_bad_row_ends_in_1_and_is_named_while_the_others_are_finished(
    geochg, whole, pairs_folder, tmp_path
):
    out = shutil.copytree(whole, tmp_path / "out")
    options = ("--options", pairs_folder / "options.toml", "-o", out)
    listed = pairs_folder / "with_bad.csv"
    listed.write_text((pairs_folder / "pairs.csv").read_text() + "lost,gone.tif,gone.tif\n")
    code, told, errors = geochg("batch", listed, *options)
    assert code == 1
    assert "warning: line 6: before is not there" in errors
    assert "4 of 5 scenes are finished (4 of them before): 12 changes" in told
    assert "lost refused: before is not there" in told
    code, told, _ = geochg("batch", listed, *options, "--json")
    assert code == 1
    facts = json.loads(told)
    assert facts["scenes"] == {"done": 0, "kept": 4, "failed": 0, "refused": 1}
    assert facts["failed"][0]["place"] == "line 6"
    assert facts["outputs"]["changes"] == str(out / "changes.gpkg")
    code, _, _ = geochg("batch", pairs_folder / "pairs.csv", *options)
    assert code == 0


@pytest.mark.parametrize(
    ("text", "words", "part"),
    [
        ("id,before\n", (), "no column 'after'"),
        ("before,after\nno.tif,no.tif\n", (), "no pair of the list can be run: line 2"),
        ("before,after,colour\n", (), "no option of a pair"),
        ("before,after\na,b\n", ("--jobs", "2", "--cluster", "tcp://h:1"), "leave out --jobs"),
    ],
)
def test_a_wrong_list_or_option_ends_in_2_and_leaves_nothing(geochg, tmp_path, text, words, part):
    listed = tmp_path / "pairs.csv"
    listed.write_text(text)
    code, told, errors = geochg("batch", listed, "-o", tmp_path / "out", *words)
    assert (code, told) == (2, "")
    assert part in errors
    assert len(errors.strip().splitlines()) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]
