"""What a file system can hold besides documents: pipes, sockets, links to devices and in circles, odd names, giants."""

from __future__ import annotations

import os
import socket
from pathlib import Path

LINE = "Пункт 3.1: срок поставки 30 дней.\n"
GOOD_NAMES = (
    *(
        "имя с пробелами.txt",
        "new\nline.txt",
        "tab\tname.txt",
        "quote'\"`$(x);&|.txt",
        "-rf.txt",
        "--help.txt",
        "[a]*?.txt",
    ),
    *("rtl_\u202etxt.exe.txt", "<img src=x onerror=alert(1)>.txt", "%2e%2e%2fetc.txt", "CON.txt", "a" * 240 + ".txt"),
    *(
        "е" * 120 + ".txt",
        "\u0435\u0301\u0306.txt",
        "u\u0308.txt",
        "ü.txt",
        "👩\u200d👩\u200d👧.txt",
        "\x1b[31mred.txt",
        "ВЕРХ.TXT",
    ),
)
BAD_NAMES = ("trailing.txt ", "trailing.", "noext")  # seen, and named as no format
MANY = 3000
DEEP = 60


def make_special(folder: Path) -> tuple[set[str], dict[str, str]]:
    """Fill an empty folder; the sources that must be indexed, and those that must be named with the code of why."""
    indexed, named = set(), {}
    for name in GOOD_NAMES:
        (folder / name).write_text(LINE, "utf-8")
        indexed.add(name)
    for name in BAD_NAMES:
        (folder / name).write_text(LINE, "utf-8")
        named[name] = "unsupported"
    for name in (".hidden.txt", "..txt"):  # passed over
        (folder / name).write_text(LINE, "utf-8")
    Path(os.fsdecode(bytes(folder) + b"/\xff\xfe.txt")).write_text(LINE, "utf-8")
    named["\\xff\\xfe.txt"] = "name"
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{(handle := os.open(folder, os.O_RDONLY))}/socket.txt")  # a short path to it
        os.close(handle)
    named |= {"pipe.txt": "kind", "socket.txt": "kind"}
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("OUTSIDE\n" * 50)
    links = [
        "/dev/zero",
        "/dev/random",
        "/dev/stdin",
        "/proc/self/mem",
        "loop1.txt",
        "loop0.txt",
        "missing",
        "/etc",
        outside,
    ]
    for number, target in enumerate([*links, outside / "secret.txt"]):
        name = f"loop{number - 4}.txt" if target in ("loop0.txt", "loop1.txt") else f"link{number}.txt"
        (folder / name).symlink_to(target)
        named[name] = "link"
    (folder / "circle" / "a").mkdir(parents=True)
    (folder / "circle" / "a" / "up").symlink_to("../..")
    (folder / "circle" / "self").symlink_to(".")
    (folder / "folder.txt").mkdir()
    (folder / "folder.pdf").mkdir()
    os.link(folder / GOOD_NAMES[0], folder / "hardlink.txt")
    indexed.add("hardlink.txt")
    for name in ("sparse.txt", "sparse.pdf"):
        with (folder / name).open("wb") as file:
            file.write(b"%PDF-1.7\n")
            file.truncate(8 << 30)
        named[name] = "too_large"
    deep = folder.joinpath(*["deep" * 10] * DEEP)
    deep.mkdir(parents=True)
    (deep / "x.txt").write_text(LINE, "utf-8")
    indexed.add((deep / "x.txt").relative_to(folder).as_posix())
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / "many" / f"{number}.txt").write_text(LINE, "utf-8")
        indexed.add(f"many/{number}.txt")
    return indexed, named
