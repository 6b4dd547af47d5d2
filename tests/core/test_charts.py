"""Pictures from the server: runs of bars, gaps, and nothing inline."""

import re

import pytest
from django.template import engines
from django.test import RequestFactory

from core.charts import Bar, Quantity, Shade, StatusBar

HOSTILE = '"><script>alert(1)</script>'


def render(source, **context):
    template = engines["django"].from_string("{% load charts live %}" + source)
    return template.render(context, RequestFactory().get("/?range=7d"))


def bars(*shades, text="some time"):
    return [Bar(shade, text) for shade in shades]


def test_equal_neighbours_are_one_stroke():
    bar = StatusBar(bars(Shade.OK, Shade.OK, Shade.BAD, Shade.OK), "label")

    assert bar.runs == [(Shade.OK, "M0 0h8M12 0h4"), (Shade.BAD, "M8 0h4")]
    assert bar.width == 15


def test_a_history_of_nothing_is_an_empty_picture():
    page = render("{% history bar small=True %}", bar=StatusBar([], "no data"))

    assert 'aria-label="no data"' in page
    assert "<path" not in page


def test_a_large_history_tells_about_each_bar():
    bar = StatusBar(bars(Shade.OK, Shade.BAD), "label", begin="1 h ago", end="now")

    page = render("{% history bar %}", bar=bar)

    assert page.count("<title>some time</title>") == 2
    assert re.findall(r'class="(\w+)" x="(\d+)"', page) == [("ok", "0"), ("bad", "4")]


@pytest.mark.parametrize("small", [True, False])
def test_words_of_a_history_are_escaped(small):
    bar = StatusBar(bars(Shade.OK, text=HOSTILE), HOSTILE, begin=HOSTILE)

    assert "<script" not in render("{% history bar small=small %}", bar=bar, small=small)


def test_a_small_curve_has_gaps():
    page = render("{% spark values 'latency' %}", values=[1, 2, None, 4])

    assert 'd="M0 17L4 12M12 2"' in page


def test_a_small_curve_of_nothing_is_drawn():
    assert 'd=""' in render("{% spark values 'latency' %}", values=[None, None])


def test_bars_are_as_long_as_their_share():
    items = [Quantity("a", 10, "10 h"), Quantity(HOSTILE, 5), Quantity("none", 0)]

    page = render("{% bars items 'Hours' %}", items=items)

    assert re.findall(r'<rect class="main" width="([\d.]+)"', page) == ["100", "50", "0"]
    assert "<script" not in page


def test_a_chart_keeps_the_range_of_the_address_and_escapes_its_title():
    page = render(
        "{% chart title=title src='/api/x' series='p95_ms:p95,p50_ms:Median' threshold=250.5 %}",
        title=HOSTILE,
    )

    assert "<script" not in page
    assert 'data-range="7d"' in page
    assert 'href="?range=7d" data-range="7d" aria-current="true"' in page
    assert 'data-threshold="250.5"' in page
    assert "style=" not in page


def test_a_range_that_does_not_exist_is_the_usual_one():
    template = engines["django"].from_string(
        "{% load charts %}{% chart title='T' src='/x' series='a:A' %}"
    )

    page = template.render({}, RequestFactory().get("/?range=%22%3E"))

    assert 'data-range="24h"' in page


def test_a_region_names_what_it_follows():
    page = render('{% live_region "now" on="a.b c.d" %}<b>x</b>{% endlive_region %}')

    assert page == '<div data-region="now" data-on="a.b c.d"><b>x</b></div>'
