"""Mutants: every small change of a module's decisions that a test should notice.

    comparisons    <  ⇄  <=    >  ⇄  >=    ==  ⇄  !=    in  ⇄  not in    is  ⇄  is not
    arithmetic     +  ⇄  -    *  ⇄  //    %  →  //    <<  ⇄  >>    &  ⇄  |    ^  →  &    **  →  *
    logic          and  ⇄  or    not x  →  x    a condition that is a name or a call  →  its opposite
    numbers        n  →  n + 1    True  ⇄  False
    statements     break  ⇄  continue    x += 1  →  x -= 1    an assignment in place, a call for its effect  →  nothing

What only names things is left alone: enumerations, texts, annotations, and the order of a ``NamedTuple``.
"""

import ast
import copy
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.Pow: ast.Mult,
}
_NAMING = {"IntEnum", "IntFlag", "NamedTuple"}


class Mutant(NamedTuple):
    """One change of a module.

    Attributes
    ----------
    function : the function it is in, empty at the top of the module or of a class
    place : the same with its class; of a number also the expression
    line : where it is
    before, after : the piece of source, as it is and as it becomes
    path, site, version : the module, its node that is changed, and which of the node's changes this is
    """

    function: str
    place: str
    line: int
    before: str
    after: str
    path: Path
    site: int
    version: int

    @property
    def title(self) -> str:
        """What is changed, without the line, which moves: ``has_room: `limit < 0` → `limit <= 0```."""
        return f"{self.place}: `{self.before}` → `{self.after}`"

    def tree(self) -> ast.Module:
        """The whole changed module."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        node = next(islice(_sites(tree, ""), self.site, None))[0]
        changed = list(_changes(node))[self.version]
        whole: ast.Module = ast.fix_missing_locations(_Exchange(node, ast.copy_location(changed, node)).visit(tree))
        return whole


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its source."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for site, (node, parent, place) in enumerate(_sites(tree, "")):
        for version, changed in enumerate(_changes(node)):
            where = f"{place}, in `{_line(parent)}`" if isinstance(node, ast.Constant) and isinstance(parent, ast.expr) else place
            yield Mutant(place.rpartition(".")[2], where, node.lineno, _line(node), _line(changed), path, site, version)


def _line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _sites(node: ast.AST, place: str) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST, str]]:
    """The nodes that may be changed, outer ones first, each with what it is part of and the function that it is in."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "defaults") or (field == "slice" and isinstance(value, ast.Constant)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            inner = place
            if isinstance(child, ast.ClassDef):
                if any(isinstance(base, ast.Name) and base.id in _NAMING for base in child.bases):
                    continue
                inner = f"{child.name}."
            elif isinstance(child, ast.FunctionDef):
                inner = f"{place if isinstance(node, ast.ClassDef) else ''}{child.name}"
            if isinstance(child, ast.expr | ast.stmt):
                yield child, node, inner
            yield from _sites(child, inner)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may become."""
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                operators = [*node.ops[:at], _COMPARISONS[type(operator)](), *node.ops[at + 1 :]]
                yield ast.Compare(node.left, operators, node.comparators)
        case ast.BinOp() if type(node.op) in _ARITHMETIC and not _of_text(node):
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.If() | ast.While() | ast.IfExp() if isinstance(node.test, ast.Name | ast.Call | ast.Attribute | ast.BinOp):
            opposite = copy.copy(node)
            opposite.test = ast.UnaryOp(ast.Not(), node.test)
            yield opposite
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.AugAssign():
            if type(node.op) in _ARITHMETIC:
                yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
            yield ast.Pass()
        case ast.Assign() if any(isinstance(target, ast.Subscript) for target in node.targets):
            yield ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def _of_text(node: ast.BinOp) -> bool:
    """Whether an operation is on lists or texts by the look of it, where another operator would not even run."""
    return any(
        isinstance(side, ast.List | ast.JoinedStr | ast.ListComp) or isinstance(getattr(side, "value", None), str)
        for side in (node.left, node.right)
    )


class _Exchange(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)
