"""A small language for rules over the fields of an input, such as `amount > 1000 and new_user`.

Numbers, texts, `true`, `false`, fields by name (nested ones with dots, others as `field("due date")`), comparisons,
`in`, `and`, `or`, `not`, `+ - * /`, and the functions lower, length and missing. Nothing else: no attributes of
objects, no other calls, no loops, so a rule can neither reach anything nor take long.

What cannot be compared (a field that is missing, a text beside a number) is unknown, by Kleene's logic: unknown `and`
false is false, unknown `or` true is true. A rule applies only where it is true.
"""

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_CHARACTERS = 1_000
MAX_PARTS = 200
MAX_DEPTH = 25
# A text of an input is looked through up to here.
MAX_TEXT = 100_000

Row = Mapping[str, Any]
Part = Callable[[Row], Any]
Truth = bool | None

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_NAMED = {"true": True, "false": False, "True": True, "False": False}


class ExpressionError(ValueError):
    """The rule cannot be read: why, and at which character (from 0)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Expression:
    """A rule that was read. `fields` are those that it looks at."""

    text: str
    fields: frozenset[str]
    _whole: Part

    def applies(self, row: Row) -> Truth:
        """Whether the rule is true of these fields; None where that is unknown."""
        return _truth(self._whole(row))


def parse_expression(text: str) -> Expression:
    """The rule as written. Raises ExpressionError naming the place."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"A rule has at most {MAX_CHARACTERS:,} characters.", MAX_CHARACTERS)
    if not text.strip():
        raise ExpressionError("The rule is empty.", 0)
    source = text.strip().replace("\r", " ")  # Python ends a line there, places in the text count on
    offset = len(text) - len(text.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about literals that Python finds odd; here they are just texts
            tree = ast.parse(source, mode="eval")
    except SyntaxError as error:
        # At the end of the rule there is no offset; a further line has one of its own.
        place = error.offset - 1 if error.offset and error.lineno == 1 else len(source)
        raise ExpressionError("The rule cannot be read from here on.", offset + min(place, len(source))) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("The rule cannot be read.", 0) from None
    reader = _Reader(source, offset)
    whole = reader.read(tree.body, 0)
    return Expression(text, frozenset(reader.fields), whole)


class _Reader:
    """Turns the parts of a rule that are allowed into functions of a row, and refuses all others."""

    def __init__(self, source: str, offset: int) -> None:
        self.fields: set[str] = set()
        self._lines = [line.encode() for line in source.split("\n")]
        self._offset = offset
        self._n_parts = 0

    def read(self, node: ast.expr, depth: int) -> Part:
        self._n_parts += 1
        if self._n_parts > MAX_PARTS or depth > MAX_DEPTH:
            raise self._error(node, "The rule is too long or too deeply nested.")
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.Name | ast.Attribute):
            return self._name(node)
        if isinstance(node, ast.BoolOp):
            parts = [self.read(part, depth + 1) for part in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node, depth)
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node, depth)
        if isinstance(node, ast.Compare):
            return self._comparison(node, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            found = [self.read(part, depth + 1) for part in node.elts]
            return lambda row: [part(row) for part in found]
        raise self._error(node, "This is nothing that a rule may contain.")

    def _constant(self, node: ast.Constant) -> Part:
        value = node.value
        if isinstance(value, bool | str):
            return lambda row: value
        if isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return lambda row: number
        raise self._error(node, "A rule knows numbers, texts, true and false.")

    def _name(self, node: ast.expr) -> Part:
        names: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self._error(node, "A dot stands between the names of a nested field.")
        name = ".".join([inner.id, *reversed(names)])
        if name in _NAMED:
            value = _NAMED[name]
            return lambda row: value
        return self._field(name)

    def _field(self, name: str) -> Part:
        self.fields.add(name)
        return lambda row: _value_of(row, name)

    def _unary(self, node: ast.UnaryOp, depth: int) -> Part:
        part = self.read(node.operand, depth + 1)
        if isinstance(node.op, ast.Not):
            return lambda row: _not(_truth(part(row)))
        if isinstance(node.op, ast.USub):
            return lambda row: -number if (number := _number(part(row))) is not None else None
        raise self._error(node, "This sign is not known here.")

    def _arithmetic(self, node: ast.BinOp, depth: int) -> Part:
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            raise self._error(node, "A rule adds, subtracts, multiplies and divides; nothing more.")
        left, right = self.read(node.left, depth + 1), self.read(node.right, depth + 1)

        def found(row: Row) -> float | None:
            one, other = _number(left(row)), _number(right(row))
            if one is None or other is None:
                return None
            try:
                result = compute(one, other)
            except (ZeroDivisionError, OverflowError):
                return None
            return result if math.isfinite(result) else None

        return found

    def _comparison(self, node: ast.Compare, depth: int) -> Part:
        parts = [self.read(part, depth + 1) for part in [node.left, *node.comparators]]
        for sign in node.ops:
            if type(sign) not in _COMPARE and not isinstance(sign, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                raise self._error(node, "Compare with <, <=, >, >=, ==, != or in.")
        signs = list(node.ops)
        steps: list[Part] = [
            lambda row, i=i, sign=sign: _compare(sign, parts[i](row), parts[i + 1](row))  # type: ignore[misc]
            for i, sign in enumerate(signs)
        ]
        return _all(steps)

    def _call(self, node: ast.Call, depth: int) -> Part:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ("lower", "length", "missing", "field") or node.keywords or len(node.args) != 1:
            raise self._error(node, 'There are lower(x), length(x), missing(x) and field("name"), of one thing each.')
        if name == "field":
            argument = node.args[0]
            if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                raise self._error(node, 'field("name") wants the name in quotation marks.')
            return self._field(argument.value)
        part = self.read(node.args[0], depth + 1)
        if name == "missing":
            return lambda row: part(row) in (None, "", [])
        if name == "lower":
            return lambda row: value.lower() if isinstance(value := part(row), str) else None
        return lambda row: float(len(value)) if isinstance(value := part(row), str | list) else None

    def _error(self, node: ast.expr, message: str) -> ExpressionError:
        before = sum(len(line.decode()) + 1 for line in self._lines[: node.lineno - 1])
        place = len(self._lines[node.lineno - 1][: node.col_offset].decode(errors="ignore"))
        return ExpressionError(message, self._offset + before + place)


def _value_of(row: Row, name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _truth(value: Any) -> Truth:
    if isinstance(value, bool):
        return value
    number = _number(value)
    return None if number is None else number != 0


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _all(parts: list[Part]) -> Part:
    def found(row: Row) -> Truth:
        is_known = True
        for part in parts:
            truth = _truth(part(row))
            if truth is False:
                return False
            is_known = is_known and truth is not None
        return True if is_known else None

    return found


def _any(parts: list[Part]) -> Part:
    def found(row: Row) -> Truth:
        is_known = True
        for part in parts:
            truth = _truth(part(row))
            if truth:
                return True
            is_known = is_known and truth is not None
        return False if is_known else None

    return found


def _compare(sign: ast.cmpop, left: Any, right: Any) -> Truth:
    if left is None or right is None:
        return None
    if isinstance(sign, ast.In | ast.NotIn):
        found = _is_in(left, right)
        return found if isinstance(sign, ast.In) else _not(found)
    if isinstance(sign, ast.Eq | ast.NotEq):
        if not _are_alike(left, right):
            return None
        return (left == right) == isinstance(sign, ast.Eq)
    one, other = _number(left), _number(right)
    if one is not None and other is not None:
        return _COMPARE[type(sign)](one, other)
    if isinstance(left, str) and isinstance(right, str):
        return _COMPARE[type(sign)](left, right)
    return None


def _is_in(left: Any, right: Any) -> Truth:
    if isinstance(right, list):
        return any(_are_alike(left, one) and left == one for one in right)
    if isinstance(left, str) and isinstance(right, str):
        return left in right[:MAX_TEXT]
    return None


def _are_alike(left: Any, right: Any) -> bool:
    for kind in (bool, str, list):
        if isinstance(left, kind) or isinstance(right, kind):
            return isinstance(left, kind) and isinstance(right, kind)
    return _number(left) is not None and _number(right) is not None
