"""The merge language: a cut-down Liquid, parsed by python-liquid and compiled to segments of our own.

Only `if`, `unless`, `else`, `elsif`, `case`, comments and the filters of `FILTERS`; no loops, no assignment, no
attribute access, so a text cannot cost more than its length. Nothing of python-liquid runs at render time, and
values are never parsed again. This module knows no HTML: the caller hands in how a value is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import repeat
from typing import Final

from liquid import Environment
from liquid.ast import BlockNode, ConditionalBlockNode, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.builtin.expressions import logical as ops
from liquid.builtin.expressions.primitive import (
    Blank,
    Empty,
    FalseLiteral,
    FloatLiteral,
    IntegerLiteral,
    Nil,
    StringLiteral,
    TrueLiteral,
)
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.case_tag import CaseNode, MultiExpressionBlockNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from campaigns.content.filters import FILTERS
from campaigns.errors import ContentError, RenderError

TAGS: Final = frozenset({"if", "unless", "case", "comment"})
INTERNAL_TAGS: Final = frozenset({"content", "output", "illegal", "#"})
URL_FIELDS: Final = frozenset({"unsubscribe_url", "why_url", "report_url"})  # ours: filled in for every recipient
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
RAW: Final = re.compile(r"\{%-?\s*(end)?raw\b")  # read by the lexer, so taking the tag away is not enough
MAX_SOURCE: Final = 500_000  # characters, MSG_MAX_KB
MAX_TAGS: Final = 2_000
MAX_DEPTH: Final = 8

Values = Mapping[str, str]
Escape = Callable[[str], str]


@dataclass(frozen=True)
class Slot:
    """A value's place: the field, then filters in order as (name, arguments)."""

    field: str
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def has_default(self) -> bool:
        """Tell whether an empty value is replaced by words."""
        return any(name == "default" and args and args[0] for name, args in self.filters)

    def value(self, values: Values) -> str:
        """Return the filtered value; RenderError when it is missing or empty and nothing stands in for it."""
        return self.column([values.get(self.field, "")])[0]

    def column(self, raws: Sequence[str]) -> Sequence[str]:
        """Return each recipient's raw value filtered; RenderError as `value`."""
        texts = raws
        for name, args in self.filters:
            call = FILTERS[name].call
            texts = [call(text, *args) for text in texts]
        if not all(texts):
            raise RenderError(self.field, "empty")
        return texts


@dataclass(frozen=True)
class Branch:
    """Arms tried in order: (test, pieces); the first test that holds is taken."""

    arms: tuple[tuple[Test, tuple[Piece, ...]], ...]


@dataclass(frozen=True)
class Test:
    """A condition: `is` with an operand pair, or `and`, `or`, `not` over parts; `true` always holds."""

    op: str
    parts: tuple[Test, ...] = ()
    left: str = ""
    right: str = ""
    left_field: bool = False
    right_field: bool = False

    def holds(self, values: Values) -> bool:
        """Return whether the condition holds for these values."""
        if self.op == "and":
            return all(part.holds(values) for part in self.parts)
        if self.op == "or":
            return any(part.holds(values) for part in self.parts)
        if self.op == "not":
            return not self.parts[0].holds(values)
        if self.op == "true":
            return True
        left = values.get(self.left, "") if self.left_field else self.left
        right = values.get(self.right, "") if self.right_field else self.right
        return COMPARE[self.op](left, right)


Piece = str | Slot | Branch
Program = tuple[Piece, ...]


def _ordered(left: str, right: str, wanted: Callable[[float, float], bool]) -> bool:
    try:
        return wanted(float(left), float(right))
    except ValueError:
        return False


COMPARE: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "filled": lambda left, right: bool(left.strip()),
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "contains": lambda left, right: bool(right) and right in left,
    "lt": lambda left, right: _ordered(left, right, lambda a, b: a < b),
    "le": lambda left, right: _ordered(left, right, lambda a, b: a <= b),
    "gt": lambda left, right: _ordered(left, right, lambda a, b: a > b),
    "ge": lambda left, right: _ordered(left, right, lambda a, b: a >= b),
}
OPERATORS: Final[Mapping[type[Expression], str]] = {
    ops.EqExpression: "eq",
    ops.NeExpression: "ne",
    ops.ContainsExpression: "contains",
    ops.LtExpression: "lt",
    ops.LeExpression: "le",
    ops.GtExpression: "gt",
    ops.GeExpression: "ge",
}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Return the parser with everything taken away that we do not offer."""
    env = Environment(strict_filters=True)
    env.tags = {name: tag for name, tag in env.tags.items() if name in TAGS | INTERNAL_TAGS}
    env.filters = {name: env.filters.get(name, str) for name in FILTERS}
    return env


def parse(source: str, fields: frozenset[str] | set[str]) -> Program:
    """Compile `source`; ContentError says in plain words what is not understood or which field nobody has."""
    if len(source) > MAX_SOURCE:
        raise ContentError(f"The text is longer than {MAX_SOURCE:,} characters.")
    if source.count("{{") + source.count("{%") > MAX_TAGS:
        raise ContentError(f"The text has more than {MAX_TAGS:,} merge fields.")
    if RAW.search(source):
        raise ContentError("“raw” is not part of the merge language.")
    try:
        nodes = _environment().from_string(source).nodes
    except LiquidError as error:
        raise ContentError(_plain(error)) from error
    except RecursionError as error:
        raise ContentError("Conditions are nested too deep.") from error
    program = tuple(_pieces(nodes, 0))
    unknown = sorted(fields_of(program) - fields)
    if unknown:
        known = ", ".join(sorted(fields - URL_FIELDS))
        raise ContentError(*(f"There is no field “{name}”. Fields of these lists: {known}." for name in unknown))
    return program


def _plain(error: LiquidError) -> str:
    where = f" (line {error.token.source.count(chr(10), 0, error.token.start_index) + 1})" if error.token else ""
    return f"A merge field is not understood{where}: {error.message}."


def _pieces(nodes: list[Node], depth: int) -> Iterator[Piece]:
    if depth > MAX_DEPTH:
        raise ContentError(f"Conditions are nested deeper than {MAX_DEPTH}.")
    for node in nodes:
        if isinstance(node, ContentNode):
            yield node.text
        elif isinstance(node, OutputNode):
            yield _slot(node.expression)
        elif isinstance(node, IfNode | UnlessNode):
            yield _branch(node, depth)
        elif isinstance(node, CaseNode):
            yield _case(node, depth)
        elif not isinstance(node, CommentNode) and "comment" not in type(node).__name__.lower():
            raise ContentError(f"“{node}” is not part of the merge language.")


def _slot(expression: Expression) -> Slot:
    if not isinstance(expression, FilteredExpression):
        raise ContentError(f"“{expression}” is not part of the merge language.")
    filters = tuple((f.name, _arguments(f.name, f.args)) for f in expression.filters or [])
    return Slot(_field(expression.left), filters)


def _arguments(name: str, args: Sequence[object]) -> tuple[str, ...]:
    if name not in FILTERS:
        raise ContentError(f"There is no filter “{name}”. There are: {', '.join(sorted(FILTERS))}.")
    texts = tuple(_literal(getattr(arg, "value", None)) for arg in args)
    least, most = FILTERS[name].least, FILTERS[name].most
    if not least <= len(texts) <= most:
        raise ContentError(f"The filter “{name}” takes {least if least == most else f'{least} to {most}'} values.")
    return texts


def _literal(expression: object) -> str:
    if isinstance(expression, StringLiteral | IntegerLiteral | FloatLiteral):
        return str(expression.value)
    raise ContentError(f"“{expression}” must be a text in quotes or a number.")


def _field(expression: Expression) -> str:
    if isinstance(expression, Path) and len(expression.path) == 1 and isinstance(expression.path[0], str):
        name = expression.path[0]
        if NAME.fullmatch(name):
            return name
    raise ContentError(f"“{expression}” is not a field: names are small letters, digits and _ only.")


def _block(block: BlockNode, depth: int) -> Program:
    return tuple(_pieces(list(block.nodes), depth + 1))


def _branch(node: IfNode | UnlessNode, depth: int) -> Branch:
    first = _test(node.condition)
    if isinstance(node, UnlessNode):
        first = Test("not", (first,))
    arms = [(first, _block(node.consequence, depth))]
    arms += [(_test(other.expression), _block(other.block, depth)) for other in node.alternatives if _is_arm(other)]
    if node.default:
        arms.append((Test("true"), _block(node.default, depth)))
    return Branch(tuple(arms))


def _is_arm(node: object) -> bool:
    if isinstance(node, ConditionalBlockNode):
        return True
    raise ContentError("A condition is not understood.")


def _case(node: CaseNode, depth: int) -> Branch:
    field = _field(node.expression)
    arms: list[tuple[Test, Program]] = []
    for block in node.blocks:
        if isinstance(block, MultiExpressionBlockNode):
            tests = tuple(_comparison("eq", node.expression, one) for one in block.expression.expressions)
            arms.append((Test("or", tests), _block(block.block, depth)))
        else:
            arms.append((Test("true", left=field), _block(block, depth)))
    return Branch(tuple(arms))


def _test(expression: Expression) -> Test:
    if isinstance(expression, BooleanExpression):
        return _test(expression.expression)
    if isinstance(expression, ops.LogicalAndExpression):
        return Test("and", (_test(expression.left), _test(expression.right)))
    if isinstance(expression, ops.LogicalOrExpression):
        return Test("or", (_test(expression.left), _test(expression.right)))
    if isinstance(expression, ops.LogicalNotExpression):
        return Test("not", (_test(expression.right),))
    if type(expression) in OPERATORS:
        return _comparison(OPERATORS[type(expression)], expression.left, expression.right)  # type: ignore[attr-defined]
    if isinstance(expression, TrueLiteral | FalseLiteral):
        return Test("true") if isinstance(expression, TrueLiteral) else Test("or")
    return Test("filled", left=_field(expression), left_field=True)


def _comparison(op: str, left: Expression, right: Expression) -> Test:
    (left_text, left_field), (right_text, right_field) = _operand(left), _operand(right)
    return Test(op, (), left_text, right_text, left_field, right_field)


def _operand(expression: Expression) -> tuple[str, bool]:
    if isinstance(expression, Nil | Empty | Blank):
        return "", False
    if isinstance(expression, Path):
        return _field(expression), True
    return _literal(expression), False


def rename(program: Program, names: Mapping[str, str]) -> Program:
    """Return the program reading `names[field]` in place of each field; fields not named stay."""
    return tuple(_renamed(piece, names) for piece in program)


def _renamed(piece: Piece, names: Mapping[str, str]) -> Piece:
    if isinstance(piece, Slot):
        return replace(piece, field=names.get(piece.field, piece.field))
    if isinstance(piece, Branch):
        return Branch(tuple((_renamed_test(test, names), rename(pieces, names)) for test, pieces in piece.arms))
    return piece


def _renamed_test(test: Test, names: Mapping[str, str]) -> Test:
    return replace(
        test,
        parts=tuple(_renamed_test(part, names) for part in test.parts),
        left=names.get(test.left, test.left) if test.left_field else test.left,
        right=names.get(test.right, test.right) if test.right_field else test.right,
    )


def fields_of(program: Program) -> frozenset[str]:
    """Return every field that stands anywhere in the program, conditions included."""
    found: set[str] = set()
    for piece in program:
        if isinstance(piece, Slot):
            found.add(piece.field)
        elif isinstance(piece, Branch):
            for test, pieces in piece.arms:
                found |= _tested(test) | fields_of(pieces)
    return frozenset(found)


def _tested(test: Test) -> set[str]:
    own = {name for name, is_field in ((test.left, test.left_field), (test.right, test.right_field)) if is_field}
    return own.union(*(_tested(part) for part in test.parts)) if test.parts else own


def tested_fields(program: Program) -> frozenset[str]:
    """Return every field that a condition asks for."""
    branches = [piece for piece in program if isinstance(piece, Branch)]
    found: set[str] = set()
    for test, pieces in (arm for branch in branches for arm in branch.arms):
        found |= _tested(test) | tested_fields(pieces)
    return frozenset(found)


def needed_fields(program: Program) -> frozenset[str]:
    """Return the fields without which a message cannot be written: no default and no condition around them."""
    return frozenset(piece.field for piece in program if isinstance(piece, Slot) and not piece.has_default)


def render(program: Program, values: Values, escape: Escape = str) -> str:
    """Return the text for one recipient; every value passes `escape` once and is never parsed."""
    return "".join(
        piece if isinstance(piece, str) else escape(piece.value(values)) for piece in flatten(program, values)
    )


def render_all(program: Program, values: Sequence[Values]) -> Sequence[str]:
    """Return the text for each recipient, as `render` without an escape."""
    if any(isinstance(piece, Branch) for piece in program):
        return [render(program, one) for one in values]
    parts: list[Iterable[str]] = [repeat("", len(values))]
    for piece in program:
        if isinstance(piece, Slot):
            parts.append(piece.column([one.get(piece.field, "") for one in values]))
        else:
            parts.append(repeat(str(piece)))
    return list(map("".join, zip(*parts, strict=False)))


def flatten(program: Program, values: Values) -> Iterator[str | Slot]:
    """Yield the literals and slots that these values choose."""
    for piece in program:
        if isinstance(piece, Branch):
            for test, pieces in piece.arms:
                if test.holds(values):
                    yield from flatten(pieces, values)
                    break
        else:
            yield piece
