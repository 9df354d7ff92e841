"""Streams of any code page, full or closed, and Ctrl-C from the first moment on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from geochg_cli.terminal import echo

GEOCHG = [sys.executable, "-m", "geochg_cli"]


def run(*words, **how):
    return subprocess.run([*GEOCHG, *words], stderr=subprocess.PIPE, timeout=300, **how)


@pytest.mark.parametrize("page", ["ascii", "cp1252", "cp932"])
def test_letters_that_a_code_page_lacks_are_written_as_escapes(page, tmp_path):
    env = {**os.environ, "PYTHONIOENCODING": page, "PYTHONUTF8": "0"}
    done = run("info", str(tmp_path / "ق.tif"), "b.tif", env=env, stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert b"does not exist" in done.stderr
    code = "import sys; from geochg_cli.streams import prepare_streams as p; p(); print('ق km²')"
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert b"\\u0642" in said.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models"], ["analyze", "--help"]])
def test_a_full_stdout_is_a_line_and_exit_1(words):
    with open("/dev/full", "wb") as full:
        done = run(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["Error: No space left on device"]


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed as POSIX does")
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_ends_no_command(number):
    done = run("models", stdout=subprocess.PIPE, preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
@pytest.mark.parametrize("module", ["click", "geochg.errors", "numpy"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_while_modules_are_loaded_is_a_line_and_exit_130(module, name):
    # The module that is imported presses Ctrl-C, and goes on loading.
    code = (
        "import os, signal, sys, geochg_cli.main as m\n"
        "class Press:\n"
        f"    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.{name})\n"
        "sys.meta_path.insert(0, Press()); sys.argv = ['geochg', 'info', 'a.tif', 'b.tif']\n"
        "m.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300)
    assert done.returncode == 130
    assert done.stderr.decode() == "Error: cancelled\n"


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does")
def test_ctrl_c_where_something_is_to_be_cleared_up_waits_for_an_import():
    code = (
        "import os, signal, sys, time\n"
        "from geochg_cli.interrupts import interrupts_raised\n"
        "class Press:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'wave': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())\n"
        "try:\n"
        "    with interrupts_raised():\n"
        "        import wave\n"
        "        print('loaded', flush=True)\n"
        "        time.sleep(200)\n"
        "except KeyboardInterrupt:\n"
        "    print('cleared up')\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300)
    assert done.stdout.decode().split("\n")[:2] == ["loaded", "cleared up"]
    assert time.monotonic() - start < 100
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_that_is_shown_commands_a_terminal(capsys, geochg, tmp_path):
    echo("a\x1b]0;owned\x07b\tc\nd\ud83c")
    assert capsys.readouterr().out == "ab\tc\nd\ufffd\n"
    odd = tmp_path / "a\x1b[31m\u202e.tif"
    for words in ([odd, odd], ["--nothing\x1b[2J", odd], [odd, odd, "--crs", "\x1b]0;x\x07"]):
        code, _, errors = geochg("info", *words)
        assert code == 2
        assert not {"\x1b", "\u202e"} & set(errors)
