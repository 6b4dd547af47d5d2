"""Variables: typed, refused when they make no sense, never printed."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from opsplatform.env import Environment


def _refusal(environment):
    with pytest.raises(ImproperlyConfigured) as refused:
        environment.refuse()
    return str(refused.value)


@pytest.mark.parametrize(
    ("raw", "value"), [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False)]
)
def test_booleans_are_read_in_any_case(raw, value):
    env = Environment({"X": raw})
    assert env.boolean("X", default=not value, about="") is value
    env.refuse()


@pytest.mark.parametrize("raw", ["maybe", "2", "-"])
def test_a_boolean_is_never_guessed(raw):
    env = Environment({"X": raw})
    env.boolean("X", default=False, about="")
    assert "X is neither true nor false." in _refusal(env)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [("abc", "whole number"), ("1.5", "whole number"), ("0", "below 1"), ("101", "above 100")],
)
def test_numbers_keep_their_bounds(raw, reason):
    env = Environment({"X": raw})
    assert env.integer("X", default=5, minimum=1, maximum=100, about="") == 5
    assert reason in _refusal(env)


@pytest.mark.parametrize("raw", ["nan", "-1", "x"])
def test_decimal_numbers_keep_their_bounds(raw):
    env = Environment({"X": raw})
    env.number("X", default=1.0, minimum=0, about="")
    assert "X" in _refusal(env)


@pytest.mark.parametrize(
    "raw",
    [
        "ftp://host",
        "http://",
        "host",
        "http://[::1",
        "http://host:99999",
        "javascript:1",
        "http://u:p@host",
    ],
)
def test_urls_have_a_scheme_that_fits_and_a_host(raw):
    env = Environment({"X": raw})
    env.url("X", default="", schemes=("http", "https"), about="")
    assert "X" in _refusal(env)


def test_a_url_loses_its_last_slash():
    env = Environment({"X": "https://example.org/"})
    assert env.url("X", default="", schemes=("https",), about="") == "https://example.org"


@pytest.mark.parametrize(
    "raw",
    ["10.0.0.0/33", "10.0.0.1/8", "host", "host:0", "host:70000", ":80", "::1:9000", "1.2.3.4:x"],
)
def test_targets_are_checked(raw):
    env = Environment({"X": raw})
    env.targets("X", about="")
    assert "X has an" in _refusal(env)


def test_networks_and_host_port_pairs_are_taken():
    env = Environment({"X": "10.0.0.0/8, ::1/128, [::1]:9000, localhost:9000"})
    taken = ("10.0.0.0/8", "::1/128", "[::1]:9000", "localhost:9000")
    assert env.targets("X", about="") == taken
    env.refuse()


@pytest.mark.parametrize("raw", ["nobody", "a@b", "a@example.org,", "a b@example.org", "@x.org"])
def test_addresses_are_checked(raw):
    env = Environment({"X": f"{raw},no"})
    env.addresses("X", about="")
    assert "no e-mail address" in _refusal(env)


def test_a_file_gives_the_value_without_its_newline(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    env = Environment({"X_FILE": str(tmp_path / "secret")})
    assert env.text("X", default="", about="") == "hunter2"
    assert env.given("X")


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path):
    env = Environment({"X_FILE": str(tmp_path / "missing")})
    env.text("X", default="", about="")
    assert "X_FILE names a file that cannot be read" in _refusal(env)


def test_both_forms_at_once_are_refused(tmp_path):
    env = Environment({"X": "a", "X_FILE": str(tmp_path)})
    env.text("X", default="", about="")
    assert "both set" in _refusal(env)


def test_an_empty_variable_is_not_set():
    env = Environment({"X": " "})
    assert env.integer("X", default=7, about="") == 7
    env.refuse()


def test_all_problems_are_named_at_once_and_no_value_is_told():
    env = Environment({"A": "hunter2", "B": "hunter3"})
    env.integer("A", default=1, about="")
    env.boolean("B", default=True, about="")
    text = _refusal(env)
    assert "A is" in text
    assert "B is" in text
    assert "hunter" not in text


def test_unknown_variables_with_our_prefix_are_named():
    env = Environment({"OPS_PROT": "1", "OPS_PORT": "1", "OPS_PORT_FILE": "x", "HOME": "/"})
    env.integer("OPS_PORT", default=1, about="")
    assert env.unknown("OPS_") == ["OPS_PROT"]


def test_a_relative_path_is_taken_from_its_base(tmp_path):
    env = Environment({"X": "data"})
    assert env.path("X", default="var", base=tmp_path, about="") == tmp_path / "data"
    assert env.path("Y", default="var", base=tmp_path, about="") == Path(tmp_path / "var")
