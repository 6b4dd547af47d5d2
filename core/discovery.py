"""Find what the apps declare in their modules `loops` and `schedules`."""

from collections.abc import Iterator
from importlib import import_module
from typing import TypeVar

from django.apps import apps
from django.utils.module_loading import module_has_submodule

T = TypeVar("T")


def declared(module_name: str, attribute: str, kind: type[T]) -> Iterator[T]:
    """Yield what every installed app lists under that name, in the order of the apps."""
    for config in apps.get_app_configs():
        if config.module is not None and module_has_submodule(config.module, module_name):
            module = import_module(f"{config.name}.{module_name}")
            for item in getattr(module, attribute, ()):
                if isinstance(item, kind):
                    yield item
