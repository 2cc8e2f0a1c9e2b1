"""Turn what tomllib and pydantic complain about into one sentence per fault, with its line and a suggestion. Pure.

Tables of a list are counted from 1 ("listener.1.tls"). Unknown keys and words get the nearest known one.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from relay.settings import Config
from relay.toml_lines import Location

Fault = tuple[Location, str]


def validation_faults(error: ValidationError, data: dict[str, Any]) -> Iterator[Fault]:
    """Say where each fault stands in the file and what is wrong there."""
    for one in error.errors():
        yield _as_written(one["loc"], data), _sentence(one)


def syntax_fault(name: str, message: str, *, text: str) -> str:
    """Move tomllib's "(at line 3, column 7)" to the front."""
    match = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if match is None:
        return f"{name}: {message}"
    if match[2] is None:
        return f"{name}:{text.rstrip().count(chr(10)) + 1}: {match[1]} (the file ends there)"
    return f"{name}:{match[2]}: {match[1]} (column {match[3]})"


def environment_faults(value: object, path: Location = ()) -> Iterator[Fault]:
    """Find values that were meant to come from the environment."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from environment_faults(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from environment_faults(inner, (*path, index))
    elif isinstance(value, str) and re.fullmatch(r"\$\{?\w+\}?", value):
        yield path, "values never come from the environment; write the value, or name a file that holds the secret"


def _as_written(loc: tuple[int | str, ...], data: object) -> Location:
    """Cut what pydantic adds to a place (names of union members) but the file does not hold."""
    path: Location = ()
    for part in loc:
        if _holds(data, part):
            data = data[part]  # type: ignore[index]
        elif isinstance(data, dict) and isinstance(part, str):
            return (*path, part)  # a required key that is missing
        else:
            break
        path += (part,)
    return path


def _holds(data: object, part: int | str) -> bool:
    return part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))


def _sentence(error: Any) -> str:
    loc: tuple[int | str, ...] = error["loc"]
    kind: str = error["type"]
    if kind == "extra_forbidden":
        known = [name for name in _fields_at(loc[:-1]) if name != "base_dir"]
        return "unknown key" + _did_you_mean(str(loc[-1]), known)
    if kind == "missing":
        return "this key is required"
    if kind == "list_type" and isinstance(error["input"], dict) and len(loc) == 1:
        return f"write [[{loc[0]}]] with two brackets: there can be several"
    if kind == "string_pattern_mismatch" and loc[-1] == "name":
        return "write letters, digits, dots, underscores and hyphens, at most 64"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
        return str(error["msg"]) + _did_you_mean(str(error["input"]), allowed)
    return str(error["msg"]).removeprefix("Value error, ")


def _did_you_mean(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong.lower(), known, n=1, cutoff=0.6)
    return f' - did you mean "{near[0]}"?' if near else ""


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """List the keys that settings.py knows at a place."""
    model: type[BaseModel] = Config
    for part in loc:
        if isinstance(part, str):
            found = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
            if found is None:
                return []
            model = found
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (list, typing.Union, types.UnionType):
        return next((m for a in typing.get_args(annotation) if (m := _model_in(a)) is not None), None)
    return None


def remove_key(data: object, path: Location) -> None:
    """Take the key at a place out of the parsed file; tables of a list stay, so that their numbers stay."""
    keys = [index for index, part in enumerate(path) if isinstance(part, str)]
    if not keys:
        return
    for part in path[: keys[-1]]:
        if _holds(data, part):
            data = data[part]  # type: ignore[index]
    if isinstance(data, dict):
        data.pop(path[keys[-1]], None)


def independent_faults(found: list[Fault], earlier: list[Fault]) -> list[Fault]:
    """Keep the faults that cannot be mere consequences of the earlier ones: those of other blocks."""
    blocks = {path[:2] for path, _ in earlier} | {path[:1] for path, _ in earlier if path[:1] == ("app",)}
    return [(path, text) for path, text in found if path[:2] not in blocks]


def in_order(faults: list[Fault], lines: dict[Location, int], name: str) -> list[str]:
    """Write each fault with its line, in the order of the file."""
    found = []
    for path, sentence in faults:
        nearest = path
        while nearest and nearest not in lines:
            nearest = nearest[:-1]
        shown = ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
        line = lines.get(nearest)
        place = f"{name}:{line}" if line else name
        found.append((line or 0, f"{place}: {shown}: {sentence}" if shown else f"{place}: {sentence}"))
    return [text for _, text in sorted(dict.fromkeys(found), key=lambda pair: pair[0])]
