"""Conditions: what they mean, how they read, and which are refused."""

import pytest

from core.errors import InvalidInputError
from notifications.engine.grouping import Reason, Standing, decide, key_of, lasted
from notifications.engine.matching import (
    AlertFacts,
    failing,
    matches,
    parse,
    told,
    usable_group_by,
)

ALERT = AlertFacts(
    kind="check.down",
    severity="critical",
    service="shop",
    labels={"region": "eu-west"},
    dedup_key="incident:1",
)


@pytest.mark.parametrize(
    ("field", "op", "values", "is_met"),
    [
        ("service", "=", ["shop"], True),
        ("service", "=", ["bank"], False),
        ("service", "!=", ["bank"], True),
        ("service", "in", ["bank", "shop"], True),
        ("service", "not in", ["bank", "shop"], False),
        ("kind", "prefix", ["check."], True),
        ("label.region", "prefix", ["eu"], True),
        ("label.region", "=", ["eu"], False),
        ("label.gone", "=", [""], True),
        ("label.gone", "!=", ["x"], True),
        ("severity", "in", ["critical", "warning"], True),
        ("status", "=", ["firing"], True),
    ],
)
def test_condition_is_met(field, op, values, is_met):
    (matcher,) = parse([{"field": field, "op": op, "values": values}])

    assert matcher.matches(ALERT) is is_met


def test_all_conditions_must_be_met():
    both = parse(
        [
            {"field": "service", "op": "=", "values": "shop"},
            {"field": "severity", "op": "in", "values": ["info", "warning"]},
        ]
    )

    assert not matches(both, ALERT)
    assert failing(both, ALERT) == both[1]
    assert matches((), ALERT)
    assert told(both) == "service is shop and severity is one of info or warning"
    assert told(()) == "every alert"
    assert parse([matcher.stored() for matcher in both]) == both


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"field": "color", "op": "=", "values": ["x"]}, "'color' is no field"),
        ({"field": "service", "op": "~", "values": ["x"]}, "'~' is no operator"),
        ({"field": "service", "op": "=", "values": []}, "write at least one value"),
        ({"field": "service", "op": "=", "values": ["a", "b"]}, "= takes one value"),
        ({"field": "service", "op": "prefix", "values": [""]}, "every text begins with nothing"),
        ({"field": "severity", "op": "=", "values": ["grave"]}, "'grave' is no severity"),
        ({"field": "service", "op": "=", "values": ["x" * 201]}, "at most 200 printable"),
        ({"field": "service", "op": "=", "values": ["a\nb"]}, "at most 200 printable"),
        ({"field": "label.", "op": "=", "values": ["x"]}, "'label.' is no field"),
        ("service=shop", "write a field"),
    ],
)
def test_unusable_condition_names_its_line(line, why):
    good = {"field": "service", "op": "=", "values": ["shop"]}
    with pytest.raises(InvalidInputError) as refused:
        parse([good, line])

    (said,) = refused.value.errors["matchers"]
    assert said.startswith("Line 2: ")
    assert why in said


def test_at_most_twenty_conditions():
    line = {"field": "service", "op": "=", "values": ["shop"]}
    assert len(parse([line] * 20)) == 1
    with pytest.raises(InvalidInputError):
        parse([line] * 21)


def test_what_alerts_are_gathered_by():
    assert usable_group_by(["service", " label.region ", "service"]) == ["service", "label.region"]
    assert usable_group_by(["service", "alert"]) == ["alert"]
    assert usable_group_by([]) == []
    with pytest.raises(InvalidInputError):
        usable_group_by(["status"])


def test_threads_are_told_apart_by_names_and_values():
    keys = {key_of({}), key_of({"a": "b"}), key_of({"a": "c"}), key_of({"ab": ""})}

    assert len(keys) == 4
    assert key_of({"a": "1", "b": "2"}) == key_of({"b": "2", "a": "1"})


@pytest.mark.parametrize(
    ("standing", "was_told", "reason"),
    [
        (Standing(firing=1, new=1), False, Reason.FIRST),
        (Standing(firing=2, new=1), True, Reason.NEW_ALERTS),
        (Standing(firing=2, new=1, resolved=1), True, Reason.NEW_ALERTS),
        (Standing(firing=1, news=1), True, Reason.UPDATE),
        (Standing(firing=1, resolved=1), True, Reason.NEW_RESOLVED),
        (Standing(resolved=2), True, Reason.ALL_RESOLVED),
        (Standing(info=1), False, Reason.FIRST),
        (Standing(firing=3), True, None),
        (Standing(), False, None),
    ],
)
def test_reason_follows_from_what_was_told(standing, was_told, reason):
    assert decide(standing, was_told=was_told) == reason


def test_storm_is_named_once():
    many = Standing(firing=30, new=30)

    assert decide(many, was_told=False, is_storm=True) == Reason.STORM
    assert decide(many, was_told=True, is_storm=True) == Reason.NEW_ALERTS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (3_720, "1 h 2 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths_read_well(seconds, words):
    assert lasted(seconds) == words
