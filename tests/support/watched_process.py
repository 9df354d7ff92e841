"""Runs the command line where a socket, or a file outside some folders, ends the process.

    WATCHED_FOLDERS=images:outputs python watched_process.py analyze before.tif after.tif -o c.gpkg

It exits with 97 and a line that names what was tried. What compiled code does goes unseen here;
the test looks at the home folder for that.
"""

import os
import sys

FOLDERS = [os.path.realpath(each) for each in os.environ["WATCHED_FOLDERS"].split(os.pathsep)]
DEVICES = ("/dev/", "/proc/")
SOCKETS = {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"}
NAMES = {"os.mkdir", "os.rename", "os.symlink", "os.link"}


def watch(event: str, arguments: tuple) -> None:
    if event in SOCKETS:
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        # Those of the system's own, between processes of this machine, have a name only.
        if event == "socket.getaddrinfo" or isinstance(address, tuple):
            refuse(f"{event} {address}")
    elif event == "open":
        path, mode, flags = arguments
        writes = set(mode or "") & set("wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
        if writes:
            check(path)
    elif event in NAMES:
        check(arguments[1] if event != "os.mkdir" else arguments[0])


def check(path: object) -> None:
    if isinstance(path, int):
        return
    place = os.path.realpath(os.fsdecode(path))
    if not place.startswith((*FOLDERS, *DEVICES)):
        refuse(f"writes {place}")


def refuse(what: str) -> None:
    os.write(2, f"WATCHED: {what}\n".encode())
    os._exit(97)


if __name__ == "__main__":
    sys.addaudithook(watch)
    from geochg_cli.main import main

    main()
