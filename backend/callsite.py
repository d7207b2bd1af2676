"""Which line of the app runs a query? Frames of libraries and of the kit are passed over.

What belongs to the app is decided once a file: not the standard library, nothing below a site-packages folder
(unless the app itself is installed there, see `add_app_folder`), not the kit, wherever its copy lies. Where no
frame is the app's, the innermost one that is neither the kit's nor the driver's stands in.
A line is known by its code object and instruction, and becomes text when somebody wants to read it.
Knows nothing of queries. If this is wrong, an N+1 is blamed on a library.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import CodeType, FrameType

_HERE = str(Path(__file__).parent)
_STANDARD = str(Path(os.__file__).parent) + os.sep
_SCRIPTS = str(Path(sys.executable).parent) + os.sep  # such as gunicorn's and pytest's
_LIBRARIES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
MOST_KNOWN = 10_000
DEPTH = 8
# What sends one call's rows page by page: perhaps no loop of the app's.
_BATCHES = frozenset({"execute_values", "execute_batch"})
_OUR_BATCHES = frozenset({"batch.py", "batch_write.py", "lookup.py"})
# Where a request begins. Who sent it, such as a loop of a test, is no caller of its queries.
_REQUESTS = {
    "wsgi_app": "app.py", "run_wsgi_app": "test.py", "__call__": "request_watch.py",
    "__next__": "request_watch.py",
}  # fmt: skip
# Code of its own up to Python 3.11, which nobody knows by that name.
_COMPREHENSION = re.compile(r"(?:\.<locals>)?\.?<(?:listcomp|setcomp|dictcomp|genexpr)>")
_files: dict[str, bool] = {}
known = _files.get  # whether a file is the app's; None when nobody has asked yet
# What a file is: the app's; the kit's that sends pages; the driver's that does; other plumbing; anybody's.
APP, PAGES, EXTRAS, PLUMBING, LIBRARY = "app", "pages", "extras", "plumbing", "library"
_kinds: dict[str, str] = {}
_app_folders: tuple[str, ...] = ()
_texts: dict[tuple[int, int], tuple[CodeType, str]] = {}


def is_app_file(name: str) -> bool:
    """Tell whether a source file is the app's own."""
    found = _files.get(name)
    if found is None:
        if len(_files) >= MOST_KNOWN:  # code made at run time, with names of its own
            _files.clear()
        found = _files[name] = _is_app(name)
    return found


def _is_app(name: str) -> bool:
    if name.startswith("<") or os.path.split(name)[0] == _HERE:
        return False
    for folder in _app_folders:
        if name.startswith(folder):  # a virtual environment may lie in there, and a namesake of what is looked for
            name = name[len(folder) - 1 :]
            break
    return not name.startswith((_STANDARD, _SCRIPTS)) and not any(part in name for part in _LIBRARIES)


def add_app_folder(path: str) -> None:
    """Have the files below a folder counted as the app's, also where the app is installed in site-packages.

    Args:
        path: such as Flask's `app.root_path`. A folder of libraries, or one above the standard library, is not
            taken: an app of one file that lies among the libraries is found as the caller of the kit.
    """
    global _app_folders
    folder = str(Path(path).absolute()).rstrip(os.sep) + os.sep
    if folder in _app_folders or folder.endswith(_LIBRARIES) or _STANDARD.startswith(folder):
        return
    _app_folders = (*_app_folders, folder)
    _files.clear()
    _kinds.clear()


def outward(frame: FrameType) -> tuple[FrameType, int]:
    """Return the innermost frame of the app's, from this one on, and its instruction.

    The instruction is below zero, `-1 - instruction`, when a function that sends pages of one call is between.
    """
    at: FrameType | None = frame
    is_batch = False
    first: FrameType | None = None
    while at is not None:
        code = at.f_code
        kind = _kinds.get(code.co_filename) or _kind_of(code.co_filename)
        if kind == APP:
            return at, -1 - at.f_lasti if is_batch else at.f_lasti
        if kind == PAGES:
            is_batch = True
        elif kind == EXTRAS:
            is_batch = is_batch or code.co_name in _BATCHES
        elif kind == LIBRARY and first is None:
            first = at
        at = at.f_back
    found = first or frame
    return found, -1 - found.f_lasti if is_batch else found.f_lasti


def _kind_of(name: str) -> str:
    """Return what a file is; asked for each frame of each query that a library sends, so it is kept."""
    folder, base = os.path.split(name)
    if is_app_file(name):
        kind = APP
    elif folder == _HERE:
        kind = PAGES if base in _OUR_BATCHES else PLUMBING
    elif folder.endswith(f"{os.sep}psycopg2"):
        kind = EXTRAS if base == "extras.py" else PLUMBING
    else:
        kind = LIBRARY
    if len(_kinds) >= MOST_KNOWN:
        _kinds.clear()
    _kinds[name] = kind
    return kind


def app_stack(frame: FrameType | None, depth: int = DEPTH) -> tuple[str, ...]:
    """Return the app's frames from this one outward, innermost first, up to where the request begins."""
    found: list[str] = []
    while frame is not None and len(found) < depth:
        code = frame.f_code
        if is_app_file(code.co_filename):
            found.append(site_of_code(code, frame.f_lasti))
        elif code.co_name in _REQUESTS and os.path.split(code.co_filename)[1] == _REQUESTS[code.co_name]:
            break
        frame = frame.f_back
    return tuple(found)


def site_of_code(code: CodeType, instruction: int) -> str:
    """Return a place in a function as `file:line in function`."""
    key = (id(code), instruction)
    known_text = _texts.get(key)
    if known_text is not None and known_text[0] is code:
        return known_text[1]
    text = f"{_shown(code.co_filename)}:{line_of(code, instruction)} in {_name(code)}"
    if len(_texts) >= MOST_KNOWN:
        _texts.clear()
    _texts[key] = code, text  # with the code, so that its id stays its own
    return text


def _name(code: CodeType) -> str:
    """Return a function's name; that of the function around for a comprehension."""
    full = getattr(code, "co_qualname", "")  # since Python 3.11
    if not full or not _COMPREHENSION.search(full):
        return code.co_name
    return _COMPREHENSION.sub("", full).rpartition(".")[2] or "<module>"


def line_of(code: CodeType, instruction: int) -> int:
    """Return the line of an instruction."""
    if instruction < 0:
        instruction = -1 - instruction
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def _shown(name: str) -> str:
    """Return a file's name from the working directory where it lies in there: what people click on."""
    try:
        folder = f"{Path.cwd()}{os.sep}"
    except OSError:
        return name
    return name[len(folder) :] if name.startswith(folder) else name


def file_and_line(site: str) -> tuple[str, int]:
    """Return the file and the line of a place; ("", 0) when it names none."""
    place = site.rpartition(" in ")[0]
    name, _, line = place.rpartition(":")
    return (name, int(line)) if line.isdigit() else ("", 0)
