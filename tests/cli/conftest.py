"""The command line, run in this process."""

import pytest

from geochg_cli.main import main


@pytest.fixture
def geochg(capsys):
    """Runs the command line: exit code, stdout, stderr."""

    def run(*arguments):
        # What the fixtures said is not the command's.
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return stop.value.code, told.out, told.err

    return run


@pytest.fixture
def refused(geochg, tmp_path):
    """Checks a refusal: an error line that names the matter, one of advice, nothing left behind."""

    def check(*arguments, names, code=2):
        there = sorted(tmp_path.rglob("*"))
        given, out, errors = geochg(*arguments)
        assert given == code
        assert names in errors
        assert out == ""
        assert errors.startswith("Error: ")
        assert len(errors.strip().splitlines()) <= 2
        assert sorted(tmp_path.rglob("*")) == there

    return check
