"""Read JSON schemas of the OpenAPI description: their fields in rows, and an example of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]

_DEEPEST: Final = 5
_SAMPLES: Final = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.org/",
    "email": "person@example.org",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One value that goes in or comes out."""

    name: str
    kind: str
    about: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


class Schemas:
    """The named schemas of a description."""

    def __init__(self, description: Schema) -> None:
        self._named: dict[str, Schema] = description.get("components", {}).get("schemas", {})

    def resolve(self, schema: Schema) -> Schema:
        """Return a schema without references and without the wrapping of a single other one."""
        if reference := schema.get("$ref"):
            return self.resolve(self._named[reference.rpartition("/")[2]])
        for word in ("allOf", "oneOf", "anyOf"):
            if parts := schema.get(word):
                found = [self.resolve(part) for part in parts]
                rest = {name: value for name, value in schema.items() if name != word}
                merged = {**found[0], **rest}
                if choices := [choice for part in found for choice in part.get("enum", ())]:
                    merged["enum"] = choices
                return merged
        return schema

    def fields(self, schema: Schema, *, prefix: str = "", depth: int = 0) -> list[Field]:
        """Return the fields of an object, those of objects inside it under dotted names."""
        schema = self.resolve(schema)
        if schema.get("type") == "array":
            return self.fields(schema["items"], prefix=f"{prefix}[]", depth=depth + 1)
        rows: list[Field] = []
        needed = schema.get("required", ())
        for name, raw in schema.get("properties", {}).items():
            part = self.resolve(raw)
            path = f"{prefix}.{name}" if prefix else name
            rows.append(self.field(path, raw, required=name in needed))
            if depth < _DEEPEST:
                rows += self.fields(part, prefix=path, depth=depth + 1)
        return rows

    def field(self, name: str, schema: Schema, *, required: bool = False) -> Field:
        """Return one row."""
        part = self.resolve(schema)
        choices = tuple(str(choice) for choice in part.get("enum", ()) if choice not in {"", None})
        # The description of a choice only repeats the labels of the choices.
        about = "" if choices else part.get("description", "")
        return Field(name, self._kind(part), about, required, choices)

    def example(self, schema: Schema, *, depth: int = 0) -> Any:  # noqa: ANN401  # any JSON
        """Return a value that fits the schema."""
        part = self.resolve(schema)
        if "example" in part:
            return part["example"]
        if "default" in part:
            return part["default"]
        if choices := part.get("enum"):
            return choices[0]
        match part.get("type"):
            case "object" if depth < _DEEPEST:
                return {
                    name: self.example(value, depth=depth + 1)
                    for name, value in part.get("properties", {}).items()
                }
            case "array" if depth < _DEEPEST:
                return [self.example(part["items"], depth=depth + 1)]
            case kind:
                return _sample(kind, part)

    def _kind(self, part: Schema) -> str:
        kind = str(part.get("type", "any"))
        if kind == "array":
            kind = f"list of {self._kind(self.resolve(part['items']))}"
        words = [part["format"] if part.get("format") in _SAMPLES else kind]
        if "maxLength" in part:
            words.append(f"at most {part['maxLength']} characters")
        if part.get("minimum"):
            words.append(f"from {part['minimum']}")
        # A limit of the column is none that anybody meets.
        if "maximum" in part and part["maximum"] < 2**31 - 1:
            words.append(f"to {part['maximum']}")
        if part.get("nullable"):
            words.append("or null")
        if part.get("readOnly"):
            words.append("read-only")
        return ", ".join(words)


def _sample(kind: str | None, part: Schema) -> Any:  # noqa: ANN401  # any JSON
    match kind:
        case "object":
            return {}
        case "array":
            return []
        case "integer" | "number":
            return max(1, part.get("minimum", 1))
        case "boolean":
            return True
        case _:
            return _SAMPLES.get(part.get("format", ""), "text")
