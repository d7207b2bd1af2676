"""How the code puts a text together: f-string, `%`, `.format()`, `+`.

`template` gives its characters and values in order, and the edits that take the way of putting it together away.
What it does not know raises `Unreadable`, with the reason. If it is wrong, a value is bound in another's place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..fixer import Edit
from ..source import Source
from .literals import Item, Literal, Unreadable, Value, read
from .purity import is_pure

_FIELD = re.compile(r"%(?:\((?P<name>[^)]*)\))?(?P<flags>[^a-zA-Z%(]*)(?P<type>[a-zA-Z%])")
_GLUE = re.compile(r"[\s+\\]*")


@dataclass(frozen=True)
class Template:
    """A text that is put together.

    Attributes:
        items: Its characters and values.
        edits: What takes the prefix `f`, `% (...)` or `.format(...)` away.
        node: The whole expression.
        mark: The quote of its first literal.
    """

    items: tuple[Item, ...]
    edits: tuple[Edit, ...]
    node: ast.expr
    mark: str

    @property
    def values(self) -> list[Value]:
        """What it is filled with, in order."""
        return [item.value for item in self.items if item.value]


def template(source: Source, node: ast.expr) -> Template:
    """Return how an expression puts a text together.

    Raises:
        Unreadable: It does so in another way.
    """
    if isinstance(node, ast.JoinedStr):
        return _formatted(source, node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _percent(source, node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _added(source, node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _format(source, node, node.func)
    raise Unreadable("its text is not put together here")


def _formatted(source: Source, node: ast.JoinedStr) -> Template:
    literals = read(source, node)
    items = [item for each in literals for item in each.items]
    prefixes = [Edit(source.path, each.start, each.inner - len(each.mark), re.sub("[fF]", "", each.prefix))
                for each in literals if each.is_formatted]  # fmt: skip
    return Template(tuple(items), (*prefixes, *_braces(source, items)), node, literals[0].mark[0])


def _braces(source: Source, items: Iterable[Item]) -> Iterator[Edit]:
    for item in items:
        if item.char and item.char in "{}" and item.end - item.start == 2:
            yield Edit(source.path, item.start, item.end, item.char)


def _plain(source: Source, node: ast.expr) -> tuple[list[Item], str]:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        raise Unreadable("the text with the fields is no literal at this place")
    literals = read(source, node)
    return [item for each in literals for item in each.items], literals[0].mark[0]


def _percent(source: Source, node: ast.BinOp) -> Template:
    items, mark = _plain(source, node.left)
    text = "".join(item.char for item in items)
    fields = list(_FIELD.finditer(text))
    values = _percent_values([each for each in fields if each["type"] != "%"], node.right, source)
    made: list[Item] = []
    at = 0
    for each in fields:
        made.extend(items[at : each.start()])
        first, last = items[each.start()], items[each.end() - 1]
        value = None if each["type"] == "%" else next(values)
        made.append(Item("" if value else "%", first.start, last.end, value))
        at = each.end()
    start, _ = source.span(node.right)
    cut = source.text.rindex("%", source.span(node.left)[1], start)
    return Template((*made, *items[at:]), (_cut(source, source.span(node.left)[1], cut, node),), node, mark)


def _percent_values(fields: Sequence[re.Match[str]], right: ast.expr, source: Source) -> Iterator[Value]:
    if any(each["flags"] or each["type"] not in "sdi" for each in fields):
        raise Unreadable("a field has a width or a format, so that another text is made of the value")
    kinds = ["any" if each["type"] == "s" else "number" for each in fields]
    names = [each["name"] for each in fields]
    if all(name is not None for name in names) and isinstance(right, ast.Dict):
        pairs = zip(right.keys, right.values, strict=True)
        given: dict[object, ast.expr] = {
            key.value: value for key, value in pairs if isinstance(key, ast.Constant)
        }
        nodes = _picked(names, given, list(right.values))
    elif isinstance(right, ast.Tuple) and not any(names):
        nodes = right.elts
    elif len(fields) == 1 and names == [None] and _is_one(right):
        nodes = [right]
    else:
        raise Unreadable("what fills the fields of `%` is not written out")
    if len(nodes) != len(fields) or any(isinstance(each, ast.Starred) for each in nodes):
        raise Unreadable("what fills the fields of `%` is not written out")
    return iter([Value(source.segment(each), each, kind) for each, kind in zip(nodes, kinds, strict=True)])


def _is_one(node: ast.expr) -> bool:
    """Whether a value can hardly be a tuple, whose elements `%` would take."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in ("str", "int", "float")
    return isinstance(node, (ast.Subscript, ast.Attribute, ast.Name, ast.JoinedStr))


def _format(source: Source, node: ast.Call, func: ast.Attribute) -> Template:
    items, mark = _plain(source, func.value)
    given: dict[object, ast.expr] = dict(enumerate(node.args))
    given.update({each.arg: each.value for each in node.keywords})
    if None in given or any(isinstance(each, ast.Starred) for each in node.args):
        raise Unreadable("what fills the fields of `.format` is not written out")
    made, names = _format_items(items)
    nodes = iter(_picked(names, given, list(given.values())))
    filled = [item if item.char else Item("", item.start, item.end, _value(source, next(nodes))) for item in made]
    inner = source.span(func.value)[1]
    cut = source.text.index(".", inner)
    braces = _braces(source, filled)
    return Template(tuple(filled), (*braces, _cut(source, inner, cut, node)), node, mark)


def _value(source: Source, node: ast.expr) -> Value:
    return Value(source.segment(node), node)


def _format_items(items: list[Item]) -> tuple[list[Item], list[object]]:
    """Return characters, an empty item for each field, and the fields' names or numbers."""
    made: list[Item] = []
    names: list[object] = []
    at = 0
    while at < len(items):
        item = items[at]
        if item.char in "{}" and at + 1 < len(items) and items[at + 1].char == item.char:
            made.append(Item(item.char, item.start, items[at + 1].end))
            at += 2
            continue
        if item.char != "{":
            made.append(item)
            at += 1
            continue
        close = next((index for index in range(at, len(items)) if items[index].char == "}"), at)
        name = "".join(each.char for each in items[at + 1 : close])
        if name and not re.fullmatch(r"\w+", name):
            raise Unreadable("a field has a format or looks something up, so another text is made of the value")
        automatic = sum(isinstance(each, int) for each in names)
        names.append(int(name) if name.isdigit() else name or automatic)
        made.append(Item("", item.start, items[close].end))
        at = close + 1
    return made, names


def _picked(names: Sequence[object], given: dict[object, ast.expr], every: list[ast.expr]) -> list[ast.expr]:
    """Return the values by name, when that evaluates each as often and in the same order as before."""
    if any(name not in given for name in names):
        raise Unreadable("a field has no value")
    nodes = [given[name] for name in names]
    if nodes != every and not all(is_pure(each) for each in every):
        raise Unreadable("a call among the values would run another number of times, or in another order")
    return nodes


def _cut(source: Source, inner: int, operator: int, node: ast.expr) -> Edit:
    """Return the edit that takes what follows a literal away; parentheses around it stay."""
    between = source.text[inner:operator]
    if "#" in between or "#" in source.text[operator : source.span(node)[1]]:
        raise Unreadable("a comment stands among the values")
    start = inner + len(between.rstrip(" \t\r\n\\"))
    return Edit(source.path, start, source.span(node)[1], "")


def _added(source: Source, node: ast.BinOp) -> Template:
    operands = list(_operands(node))
    if not isinstance(operands[0], ast.Constant):
        raise Unreadable("a value is where the statement begins")
    read_ones: list[list[Literal] | None] = [
        read(source, each) if isinstance(each, ast.Constant) and isinstance(each.value, str) else None
        for each in operands
    ]
    if any(isinstance(each, ast.JoinedStr) for each in operands):
        raise Unreadable("an f-string is added to other texts")
    items: list[Item] = []
    left: list[Literal] = []
    for index, (each, literals) in enumerate(zip(operands, read_ones, strict=True)):
        if literals is not None:
            items.extend(item for literal in literals for item in literal.items)
            left = literals
            continue
        following = read_ones[index + 1] if index + 1 < len(operands) else None
        if read_ones[index - 1] is None or (following is None and index + 1 < len(operands)):
            raise Unreadable("two values stand side by side")
        items.append(_between(source, left[-1], each, following[0] if following else None, node))
    return Template(tuple(items), (), node, left[0].mark[0])


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _operands(node.left)
        yield node.right
    else:
        yield node


def _between(source: Source, left: Literal, node: ast.expr, right: Literal | None, whole: ast.expr) -> Item:
    """Return a value that is added behind a literal, with what has to follow its placeholder."""
    start, end = source.span(node)
    before = source.text[left.end : start]
    value = Value(source.segment(node), node, "text")
    after = source.text[end : right.start if right else source.span(whole)[1]]
    opened, closed = before.count("("), after.count(")")
    is_glue = _GLUE.fullmatch(before.replace("(", "")) and _GLUE.fullmatch(after.replace(")", ""))
    if opened != closed or not is_glue:
        raise Unreadable("a comment or parentheses stand between the parts")
    if right is None:
        return Item("", left.outer, source.span(whole)[1], value, left.mark)
    if opened:
        raise Unreadable("a comment or parentheses stand between the parts")
    is_one_line = "\n" not in before + after
    if is_one_line and (left.prefix, left.mark) == (right.prefix, right.mark):
        return Item("", left.outer, right.inner, value)
    glue = before if "\n" in before else after
    return Item("", left.outer, right.inner, value, f"{left.mark}{glue}{right.prefix}{right.mark}")


