"""Which browser the browser tests take, and what is said when there is none."""

from __future__ import annotations

import os

import pytest

from opsplatform.testing import chromium


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a program into an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPS_CHROMIUM", raising=False)
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    (tmp_path / "bin").mkdir()

    def put(name, script="exit 0", folder="bin"):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return put


def test_the_one_that_is_named_comes_first(programs, monkeypatch):
    programs("chromium")
    named = programs("own", folder="elsewhere")
    monkeypatch.setenv("OPS_CHROMIUM", named)

    assert chromium.find() == named


def test_debians_name_comes_before_others(programs):
    programs("google-chrome")
    first = programs("chromium")

    assert chromium.find() == first


def test_the_newest_that_was_downloaded_comes_last(programs):
    folder = "home/.cache/ms-playwright"
    programs("chrome", folder=f"{folder}/chromium-1100/chrome-linux")
    newest = programs("chrome", folder=f"{folder}/chromium-1200/chrome-linux64")

    assert chromium.find() == newest


def test_a_named_one_that_is_not_there_is_not_replaced(programs, monkeypatch, capsys):
    programs("chromium")
    monkeypatch.setenv("OPS_CHROMIUM", "/no/such/browser")

    assert chromium.main(["--install"]) == chromium.NO_BROWSER
    assert capsys.readouterr().out.startswith(
        "Browser: NOT TESTED, for OPS_CHROMIUM names /no/such/browser, which is no program. Fix: "
    )


def test_without_apt_it_is_said(programs, capsys):
    assert chromium.main(["--install"]) == chromium.NO_BROWSER
    assert "there is no apt-get" in capsys.readouterr().out


def test_nothing_is_installed_unless_asked(programs, tmp_path, capsys):
    programs("apt-get", f"echo called > {tmp_path}/called")

    assert chromium.main([]) == chromium.NO_BROWSER
    assert "no Chromium is installed. Fix" in capsys.readouterr().out
    assert not (tmp_path / "called").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may install")
def test_who_is_not_root_is_told(programs, capsys):
    programs("apt-get")

    assert chromium.main(["--install"]) == chromium.NO_BROWSER
    assert "only root may install one" in capsys.readouterr().out


@pytest.fixture
def _as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("_as_root")
def test_debians_is_installed_by_its_own_tool(programs, tmp_path, capsys):
    browser = tmp_path / "bin" / "chromium"
    programs(
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $@" >> {tmp_path}/calls\n'
        f'[ "$1" = update ] || {{ printf "#!/bin/sh\\n" > {browser}; /bin/chmod 755 {browser}; }}',
    )

    assert chromium.main(["--install"]) == 0
    assert (tmp_path / "calls").read_text().splitlines() == [
        "noninteractive update -qq",
        "noninteractive install -y -qq --no-install-recommends chromium fonts-liberation",
    ]
    assert chromium.find() == str(browser)


@pytest.mark.usefixtures("_as_root")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo E: no network; exit 100", "apt-get update failed: E: no network"),
        ("exit 0", "apt-get installed no program of a known name"),
    ],
)
def test_an_install_that_fails_is_told(programs, capsys, script, told):
    programs("apt-get", script)

    assert chromium.main(["--install"]) == chromium.NO_BROWSER
    assert told in capsys.readouterr().out
