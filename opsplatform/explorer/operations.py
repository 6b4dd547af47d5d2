"""What the API can do, operation by operation, in the words that a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import orjson

from opsplatform.explorer.schemas import Field, Schemas
from opsplatform.schema import openapi

_VERBS: Final = {
    "list": "List",
    "retrieve": "Read",
    "create": "Create",
    "update": "Replace",
    "partial_update": "Change",
    "destroy": "Delete",
}
_PLAIN: Final = "Health"
_CALLED: Final = {"slos": "Objectives"}


@dataclass(frozen=True, slots=True)
class Content:
    """A body that goes in or comes out."""

    media_type: str
    fields: tuple[Field, ...]
    example: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer that an operation may give."""

    status: int
    phrase: str
    about: str
    content: Content | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    name: str
    method: str
    path: str
    title: str
    about: str
    is_public: bool
    path_fields: tuple[Field, ...]
    query_fields: tuple[Field, ...]
    body: Content | None
    outcomes: tuple[Outcome, ...]

    def curl(self, base: str) -> str:
        """Return the line that does it from a terminal."""
        parts = ["curl"]
        if self.method != "GET":
            parts.append(f"-X {self.method}")
        if not self.is_public:
            parts.append('-H "X-Dash-Key: $OPS_KEY"')
        if self.body is not None:
            example = self.body.example.replace("'", "'\\''")
            parts += [f"-H 'Content-Type: {self.body.media_type}'", f"-d '{example}'"]
        parts.append(f"'{base.rstrip('/')}{self.path}'")
        return " \\\n".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """The operations on one noun."""

    title: str
    operations: tuple[Operation, ...]


@cache
def groups() -> tuple[Group, ...]:
    """Return every operation under its noun; made once, as the description is."""
    description = openapi()
    schemas = Schemas(description)
    found: dict[str, list[Operation]] = {}
    for path, methods in description["paths"].items():
        for method, raw in methods.items():
            found.setdefault(_noun(path), []).append(_operation(schemas, path, method, raw))
    # What people call comes first; what probes call comes last.
    nouns = sorted(found, key=lambda noun: (noun == _PLAIN, noun))
    return tuple(Group(noun, tuple(found[noun])) for noun in nouns)


def find(name: str) -> Operation | None:
    """Return the operation of a name, if there is one."""
    every = (operation for group in groups() for operation in group.operations)
    return next((operation for operation in every if operation.name == name), None)


def _noun(path: str) -> str:
    first, *rest = path.strip("/").split("/")
    if first != "api" or not rest:
        return _PLAIN
    return _CALLED.get(rest[0], rest[0].replace("-", " ").capitalize())


def _operation(schemas: Schemas, path: str, method: str, raw: dict[str, Any]) -> Operation:
    name = raw["operationId"]
    parameters: dict[str, list[Field]] = {"path": [], "query": []}
    for parameter in raw.get("parameters", ()):
        schema = {"description": parameter.get("description", ""), **parameter["schema"]}
        required = bool(parameter.get("required"))
        field = schemas.field(parameter["name"], schema, required=required)
        parameters.setdefault(parameter["in"], []).append(field)
    return Operation(
        name=name,
        method=method.upper(),
        path=path,
        title=_title(name, path),
        about=raw.get("description", ""),
        is_public="security" not in raw,
        path_fields=tuple(parameters["path"]),
        query_fields=tuple(parameters["query"]),
        body=_content(schemas, raw.get("requestBody", {})),
        outcomes=tuple(
            Outcome(
                int(status),
                HTTPStatus(int(status)).phrase,
                answer.get("description", ""),
                _content(schemas, answer),
            )
            for status, answer in raw["responses"].items()
        ),
    )


def _title(name: str, path: str) -> str:
    """Say what it does: the act where the path ends with one, else the verb and the noun."""
    parts = [part for part in path.strip("/").split("/") if part != "api"]
    words = [part.replace("-", " ") for part in parts if "{" not in part]
    if "{" not in parts[-1] and any("{" in part for part in parts[:-1]):
        return words[-1].capitalize()
    endings = sorted(_VERBS, key=len, reverse=True)
    ending = next((ending for ending in endings if name.endswith(f"_{ending}")), "")
    # The first noun is the heading that the operation stands under.
    noun = " ".join(words[1:] or words)
    is_one = "{" in parts[-1] or ending == "create"
    return f"{_VERBS.get(ending, 'Call')} {noun.removesuffix('s') if is_one else noun}"


def _content(schemas: Schemas, raw: dict[str, Any]) -> Content | None:
    for media_type, body in raw.get("content", {}).items():
        schema = body.get("schema", {})
        example = orjson.dumps(schemas.example(schema), option=orjson.OPT_INDENT_2).decode()
        return Content(media_type, tuple(schemas.fields(schema)), example)
    return None
