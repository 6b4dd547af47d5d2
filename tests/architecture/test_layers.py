"""The walls of the house, as machines see them."""

import ast
from pathlib import Path

from django.apps import apps
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
OURS = {"accounts", "audit", "core", "notifications", "observability", "opsplatform", "reliability"}
ORDER = ["core", "audit", "accounts", "notifications", "reliability", "observability"]
DOORS = ("api", "admin", "consumers", "management", "tasks", "loops", "middleware")
WRITES = {"save", "create", "bulk_create", "bulk_update", "update_or_create", "get_or_create"}


def test_import_contracts_hold(monkeypatch):
    # The linter's own set-up would switch off every logger of the tests that come after.
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda _verbose: None)

    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_relations_point_downwards():
    upward = []
    for model in apps.get_models():
        if model._meta.app_label not in ORDER:
            continue
        for field in model._meta.get_fields():
            if not field.is_relation or field.auto_created or not field.related_model:
                continue
            target = field.related_model._meta.app_label
            if target in ORDER and ORDER.index(target) > ORDER.index(model._meta.app_label):
                upward.append(f"{model._meta.label}.{field.name} -> {target}")
    assert [arrow for arrow in upward if not arrow.endswith("reliability.Service")] == []


def _door_files():
    for app in sorted(OURS - {"core", "opsplatform"}):
        for door in DOORS:
            yield from (ROOT / app).glob(f"{door}.py")
            yield from (ROOT / app / door).rglob("*.py")


def test_doors_do_not_write():
    writes = []
    for file in _door_files():
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            through_manager = any(
                isinstance(part, ast.Attribute) and part.attr == "objects"
                for part in ast.walk(node.func.value)
            )
            if node.func.attr in WRITES | {"update", "delete"} and through_manager:
                writes.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert writes == []
