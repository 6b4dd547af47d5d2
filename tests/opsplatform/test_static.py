"""What browsers load is collected again whenever its sources have changed."""

from __future__ import annotations

import pytest

from opsplatform.supervisor.static import collect_static


@pytest.fixture
def source(settings, tmp_path):
    """Return a static file of a platform that has collected nothing yet."""
    folder = tmp_path / "static"
    folder.mkdir()
    file = folder / "page.css"
    file.write_text("body { color: black }")
    settings.STATIC_ROOT = tmp_path / "root"
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    return file


@pytest.fixture
def collected(source, settings):
    """Return what stands in the folder that is served."""
    return (settings.STATIC_ROOT / "page.css").read_text


def test_the_first_start_collects(source, collected):
    assert collect_static() is True
    assert collected() == "body { color: black }"


def test_unchanged_sources_are_left_alone(source, settings):
    collect_static()
    (settings.STATIC_ROOT / "page.css").unlink()

    assert collect_static() is False
    assert not (settings.STATIC_ROOT / "page.css").exists()


def test_a_changed_source_of_the_same_size_is_collected(source, collected):
    collect_static()
    source.write_text("body { color: white }")

    assert collect_static() is True
    assert collected() == "body { color: white }"


def test_an_interrupted_collection_is_done_again(source, settings, collected, monkeypatch):
    def broken(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("opsplatform.supervisor.static.call_command", broken)
        with pytest.raises(KeyboardInterrupt):
            collect_static()

    assert collect_static() is True
    assert collected() == "body { color: black }"
