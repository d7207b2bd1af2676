"""Says an expression of a called function in the terms of the loop that calls it, however many calls are between.

`row["id"]` given to `get(post_id)`, kept as `self.post_id` by a constructor, bound as `(self.post_id,)` by a
method, is `(row["id"],)`. Only what stays the same between the loop's header and the statement is followed.
If this is wrong, rows are asked for that nobody wants, and the loop's statements are sent as before.
"""

from __future__ import annotations

import ast
import copy

from ...audit.model.code import Call, Function, Loop
from ...audit.model.project import Project
from ...audit.model.values import Instance
from .arguments import arguments, bind
from .constants import Constants, Found
from .deciding import decided
from .folding import folded
from .heads import kept_names
from .names import assigned_before
from .objects import attribute_of
from .terms import Frame, Object, Passed, Term, Unknown, constant, stored
from .unrolling import VIEWS, displayed, unrolled

DEEPEST = 12  # calls that a value is followed through
_FUNCTIONS = ("int", "str", "float", "bool", "len", "abs", "round", "tuple", "list")
_METHODS = (
    "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "replace", "format", "get", "join",
    "split", "isoformat", "strftime", "date",
)  # fmt: skip
_BUILT = (ast.Tuple, ast.List, ast.Dict, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.JoinedStr,
          ast.FormattedValue, ast.BoolOp, ast.Slice)  # fmt: skip


class Reader:
    """Reads for one loop.

    Args:
        elements: The loop's own names, and how the header's function says them: `{"post": <row[1]>}`.
        inside: What the loop's names and those that change in it are known within.
    """

    def __init__(
        self, project: Project, constants: Constants, loop: Loop, elements: dict[str, ast.expr], inside: ast.AST
    ) -> None:
        self.loop = loop
        self.root = Frame(loop.function)
        self.inside = inside
        self.constants = constants
        self.elements = elements
        self._changing = set(stored(inside)) - set(elements) - kept_names(inside, loop)
        self._calls: dict[Function, dict[ast.AST, Call]] = {}

    def expression(self, node: ast.expr, frame: Frame) -> ast.expr:
        """Return an expression in the loop's terms.

        Raises:
            Unknown: It cannot be said there.
        """
        found = self.term(node, frame)
        if not isinstance(found, Object):
            return found
        if found.said is None:
            raise Unknown(f"`{short(node)}` is an object of {found.cls.qualname}")
        return found.said

    def term(self, node: ast.expr, frame: Frame) -> Term:
        """Return an expression or an object in the loop's terms.

        Raises:
            Unknown: It cannot be said there.
        """
        if frame.depth > DEEPEST:
            raise Unknown("it is passed on through too many calls")
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            return self._name(node, frame)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, frame)
        if isinstance(node, ast.Subscript):
            return self._element(node, frame)
        if isinstance(node, ast.Call):
            return self._call(node, frame)
        if isinstance(node, ast.IfExp) and (holds := self.decided(node.test, frame)) is not None:
            return self.term(node.body if holds else node.orelse, frame)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return unrolled(self, node, frame)
        if isinstance(node, _BUILT):
            return _chosen(folded(self._rebuilt(node, frame)))
        raise Unknown(f"`{short(node)}` is worked out in {frame.function.name}()")

    def _rebuilt(self, node: ast.expr, frame: Frame) -> ast.expr:
        made = copy.copy(node)
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(made, name, self.expression(value, frame))
            elif isinstance(value, list):
                setattr(made, name, [inner for one in value for inner in self._each(one, frame)])
        return made

    def _each(self, node: object, frame: Frame) -> list[object]:
        if isinstance(node, ast.Starred):
            spread = self.expression(node.value, frame)
            if isinstance(spread, (ast.Tuple, ast.List)):
                return list(spread.elts)
            raise Unknown(f"`{short(node)}` may be any number of values")
        return [self.expression(node, frame) if isinstance(node, ast.expr) else node]

    def decided(self, test: ast.expr, frame: Frame) -> bool | None:
        """Return whether a condition holds; None when that depends on the row."""
        if frame is self.root:
            return None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.decided(test.operand, frame)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            sides = [self.decided(each, frame) for each in test.values]
            return decided(ast.BoolOp(op=test.op, values=[_known(each) for each in sides]))
        try:
            if isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance" and len(test.args) == 2:
                value = self.expression(test.args[0], frame)
                return decided(ast.Call(func=test.func, args=[value, test.args[1]], keywords=[]))
            return decided(self.expression(test, frame))
        except Unknown:
            return None

    def _name(self, node: ast.Name, frame: Frame) -> Term:
        module, name = frame.function.module, node.id
        if frame is self.root:
            return self._own_name(node)
        if name in frame.bound:
            return frame.bound[name]
        found = None
        if not frame.function.is_module:
            found = assigned_before(module, node, name, decide=lambda test: self.decided(test, frame))
        if found is not None:
            return self.term(found.value, frame)
        if name in frame.given:
            return _given(frame, name)
        if not frame.function.is_module and name in stored(frame.function.node):
            raise Unknown(f"`{name}` is not plainly assigned in {frame.function.name}()")
        cls = self.constants.cls(module, name)
        if cls is not None:
            return Object(cls)
        return self.constant(self.constants.value(module, name), name, frame)

    def _own_name(self, node: ast.Name) -> Term:
        """Return a name of the loop's own function, as it is where the header stands."""
        name = node.id
        found = assigned_before(self.root.function.module, node, name, self.inside)
        if found is not None:
            return self.term(found.value, self.root)
        if name in self.elements:
            return self.elements[name]
        if name in self._changing:
            raise Unknown(f"`{name}` changes in the loop")
        return ast.Name(id=name, ctx=ast.Load())

    def constant(self, found: Found | None, name: str, frame: Frame) -> ast.expr:
        """Return what a name of a module or a class is.

        Raises:
            Unknown: It is no constant.
        """
        if found is None:
            raise Unknown(f"`{name}` is no constant of {frame.function.path}")
        outer = Frame(found.module.body, {}, frame)
        value = self.expression(found.value, outer)
        if not isinstance(value, (ast.Constant, ast.Tuple, ast.List, ast.Dict)):
            raise Unknown(f"`{name}` of {found.module.path} is no constant")
        return value

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Term:
        if isinstance(node.value, ast.Name) and frame is not self.root:
            found = self.constants.attribute(frame.function.module, node.value.id, node.attr)
            if found is not None and node.value.id not in frame.given:
                return self.constant(found, f"{node.value.id}.{node.attr}", frame)
        owner = self.term(node.value, frame)
        if isinstance(owner, Object):
            return owner if node.attr == "__class__" else attribute_of(self, owner, node.attr, frame)
        call = self.call(node, frame.function)
        if call is not None and call.callees:
            raise Unknown(f"`{short(node)}` is a property that does more than return something")
        return ast.Attribute(value=owner, attr=node.attr, ctx=ast.Load())

    def _element(self, node: ast.Subscript, frame: Frame) -> Term:
        owner, index = self.expression(node.value, frame), self.expression(node.slice, frame)
        key = index.value if isinstance(index, ast.Constant) else None
        if isinstance(owner, (ast.Tuple, ast.List)) and isinstance(key, int) and abs(key) < len(owner.elts):
            return owner.elts[key]
        if isinstance(owner, ast.Dict) and key is not None:
            for name, value in zip(owner.keys, owner.values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    return value
        return ast.Subscript(value=owner, slice=index, ctx=ast.Load())

    def _call(self, node: ast.Call, frame: Frame) -> Term:
        call = self.call(node, frame.function)
        if call is not None and len(call.callees) == 1:
            return self._of_call(call, call.callees[0], frame)
        made = [value.cls for value in call.result if isinstance(value, Instance)] if call is not None else []
        if made and not (call and call.callees):
            return Object(made[0])
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "type" and len(node.args) == 1:
            return self.term(node.args[0], frame)
        is_method = isinstance(node.func, ast.Attribute)
        if is_method and name in VIEWS and not node.args and frame is not self.root:
            return displayed(self, node, frame)
        if name in ("SQL", "Identifier", "dedent") and len(node.args) == 1:
            return folded(self._same_call(node, node.func, frame))
        if call is None or call.target or call.does or call.callees:
            raise Unknown(f"`{short(node)}` is worked out in {frame.function.name}()")
        if is_method and name in _METHODS:
            assert isinstance(node.func, ast.Attribute)
            owner = self.expression(node.func.value, frame)
            if not self._is_of_row(owner):
                raise Unknown(f"`{short(node)}` asks something that is not of the row")
            return folded(self._same_call(node, ast.Attribute(value=owner, attr=name, ctx=ast.Load()), frame))
        if not is_method and name in _FUNCTIONS:
            return _listed(name, folded(self._same_call(node, node.func, frame)))
        raise Unknown(f"`{short(node)}` is worked out in {frame.function.name}()")

    def _is_of_row(self, owner: ast.expr) -> bool:
        """Whether a method is one of a constant's or of a part of the row, so that it does no more than answer."""
        while isinstance(owner, (ast.Attribute, ast.Subscript)):
            owner = owner.value
        if isinstance(owner, ast.Call):
            return not isinstance(owner.func, ast.Attribute) or self._is_of_row(owner.func.value)
        said = [getattr(each, "id", "") for value in self.elements.values() for each in ast.walk(value)]
        return not isinstance(owner, ast.Name) or owner.id in said

    def _same_call(self, node: ast.Call, func: ast.expr, frame: Frame) -> ast.Call:
        if any(each.arg is None for each in node.keywords):
            raise Unknown(f"`{short(node)}` is given a list of arguments")
        args = [inner for each in node.args for inner in self._each(each, frame) if isinstance(inner, ast.expr)]
        named = [ast.keyword(arg=each.arg, value=self.expression(each.value, frame)) for each in node.keywords]
        return ast.Call(func=func, args=args, keywords=named)

    def _of_call(self, call: Call, callee: Function, frame: Frame) -> Term:
        """Return what a call of the project's makes, or returns in its only statement `return`."""
        if callee.wrappers:
            raise Unknown(f"`{short(call.node)}` runs a decorator")
        inner = self.entered(call, callee, frame)
        if callee.name == "__init__" and callee.cls is not None:
            owner = inner.given.get("self")
            assert isinstance(owner, Object)
            return owner
        return self.returned(callee, inner)

    def returned(self, function: Function, frame: Frame) -> Term:
        """Return what a function returns in the loop's terms.

        Raises:
            Unknown: It cannot be said there.
        """
        body = getattr(function.node, "body", None)
        found = self._left(body, frame) if isinstance(body, list) else None
        if found is None or found.value is None:
            raise Unknown(f"what {function.name}() returns is worked out there")
        return self.term(found.value, frame)

    def _left(self, block: list[ast.stmt], frame: Frame) -> ast.Return | None:
        """Return the `return` that a function leaves by; None when none of the block's is surely met."""
        for each in block:
            if isinstance(each, ast.Return):
                return each
            if not any(isinstance(inner, ast.Return) for inner in ast.walk(each)):
                continue
            holds = self.decided(each.test, frame) if isinstance(each, ast.If) else None
            if not isinstance(each, ast.If) or holds is None:
                raise Unknown(f"what {frame.function.name}() returns depends on the row")
            found = self._left(each.body if holds else each.orelse, frame)
            if found is not None:
                return found
        return None

    def entered(self, call: Call, callee: Function, frame: Frame) -> Frame:
        """Return the frame of a function that a call runs."""
        passed = arguments(self, call, frame)
        if callee.name == "__init__" and callee.cls is not None and not _is_super(call):
            made = Frame(callee, {}, frame)
            made_of = [value.cls for value in call.result if isinstance(value, Instance)]
            passed.positional.insert(0, Object(made_of[0] if made_of else callee.cls, made))
            made.given = bind(self, callee, passed, frame)
            return made
        return Frame(callee, bind(self, callee, passed, frame), frame)

    def call(self, node: ast.AST, function: Function) -> Call | None:
        """Return what the audit knows of a call."""
        if function not in self._calls:
            self._calls[function] = {each.node: each for each in function.calls}
        return self._calls[function].get(node)


def _given(frame: Frame, name: str) -> Term:
    value = frame.given[name]
    if isinstance(value, Unknown):
        raise value
    if isinstance(value, Passed):
        return _display(value, name)
    return value


def _display(value: Passed, name: str) -> ast.expr:
    """Return what a `*args` or `**kwargs` holds as a tuple or a dict."""
    for each in (*value.positional, *value.named.values()):
        if not isinstance(each, ast.expr):
            raise each if isinstance(each, Unknown) else Unknown(f"`{name}` holds an object")
    if value.named:
        keys: list[ast.expr | None] = [constant(each) for each in value.named]
        return ast.Dict(keys=keys, values=[each for each in value.named.values() if isinstance(each, ast.expr)])
    return ast.Tuple(elts=[each for each in value.positional if isinstance(each, ast.expr)], ctx=ast.Load())


def _known(holds: bool | None) -> ast.expr:
    """Return a decision as a condition; a name is open."""
    return ast.Name(id="_", ctx=ast.Load()) if holds is None else constant(holds)


def _listed(name: str, node: ast.expr) -> ast.expr:
    """Return `tuple(...)` and `list(...)` of values that stand there as the values."""
    if name not in ("tuple", "list"):
        return node
    inner = node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else None
    if not isinstance(inner, (ast.Tuple, ast.List)):
        raise Unknown(f"`{short(node)}` may use up what it is given")
    made = ast.Tuple if name == "tuple" else ast.List
    return made(elts=inner.elts, ctx=ast.Load())


def _chosen(node: ast.expr) -> ast.expr:
    """Return the side of `a or b` that is taken, where the first one is plainly full or empty."""
    if not (isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2):
        return node
    first = node.values[0]
    if isinstance(first, (ast.Tuple, ast.List)):
        return first if first.elts else node.values[1]
    if isinstance(first, ast.Dict):
        return first if first.keys else node.values[1]
    return (first if first.value else node.values[1]) if isinstance(first, ast.Constant) else node


def _is_super(call: Call) -> bool:
    func = getattr(call.node, "func", None)
    owner = func.value if isinstance(func, ast.Attribute) else None
    return isinstance(owner, ast.Call) and getattr(owner.func, "id", "") == "super"


def short(node: ast.AST) -> str:
    """Return an expression as a sentence can hold it."""
    found = ast.unparse(node)
    return found if len(found) <= 40 else f"{found[:37]}..."
