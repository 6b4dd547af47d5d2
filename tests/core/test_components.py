"""Components escape what they show, tell tones by words, and keep links within the query."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory

from core.components import Column, Progress, Tab, Table, Tone, badge, table_of, tone_of, when

HOSTILE = '"><script>alert(1)</script>'
ESCAPED = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


def render(source, path="/", **context):
    request = RequestFactory().get(path)
    return Template("{% load components %}" + source).render(
        Context({"request": request, **context})
    )


@pytest.mark.parametrize(
    ("word", "tone"),
    [
        ("up", Tone.OK),
        ("resolved", Tone.OK),
        ("degraded", Tone.WARN),
        ("acknowledged", Tone.WARN),
        ("down", Tone.BAD),
        ("dead", Tone.BAD),
        ("Critical", Tone.BAD),
        ("pending", Tone.INFO),
        ("unknown", Tone.UNKNOWN),
        ("", Tone.UNKNOWN),
        ("never heard of", Tone.UNKNOWN),
    ],
)
def test_a_word_has_one_tone_and_what_no_table_names_is_unknown(word, tone):
    assert tone_of(word) is tone


def test_a_badge_says_its_word():
    assert badge("no_channel") == '<span class="badge badge-warn">No channel</span>'
    assert badge("up", "Fine", "bad") == '<span class="badge badge-bad">Fine</span>'


def test_a_badge_refuses_a_tone_that_does_not_exist():
    with pytest.raises(ValueError, match="pink"):
        badge("up", tone="pink")


def test_a_time_reads_as_utc_without_a_script():
    moment = datetime(2026, 7, 1, 14, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert when(moment) == ('<time datetime="2026-07-01T12:05:09Z">1 Jul 2026 12:05:09 UTC</time>')
    assert when(None) == "-"


@pytest.mark.parametrize(
    "source",
    [
        "{% badge x %}",
        "{% card x x x 'ok' x %}",
        "{% panel title=x href=x link=x %}{{ x }}{% endpanel %}",
        "{% facts pairs %}",
        "{% code x x %}",
        "{% empty x x x x %}",
        "{% dialog 'name' x %}{{ x }}{% enddialog %}",
        "{% steps items 1 x %}",
        "{% tabs tabs x %}",
        "{% table table %}",
        "{% progress work %}",
    ],
)
def test_hostile_text_stays_text(source):
    page = render(
        source,
        x=HOSTILE,
        pairs=[(HOSTILE, HOSTILE)],
        items=[HOSTILE],
        tabs=[Tab(HOSTILE, HOSTILE)],
        table=Table([Column(HOSTILE)], [[HOSTILE]], caption=HOSTILE),
        work=Progress(HOSTILE, phase=HOSTILE, cancel_url=HOSTILE),
    )
    assert "<script>" not in page
    assert ESCAPED.lower() in page.lower()


def test_a_card_without_a_tone_is_grey():
    assert 'class="card tone-unknown"' in render("{% card 'Up' 3 %}")


def test_markup_of_a_cell_stays_markup():
    page = render("{% table table %}", table=Table([Column("State")], [[badge("down")]]))
    assert '<td><span class="badge badge-bad">Down</span></td>' in page


def test_numbers_stand_at_the_right():
    table = Table([Column("Service"), Column("p95", numeric=True)], [["Shop", "12 ms"]])
    page = render("{% table table %}", table=table)
    assert '<th scope="col" class="numeric">p95</th>' in page
    assert '<td>Shop</td><td class="numeric">12 ms</td>' in page


def test_an_empty_table_says_so():
    page = render("{% table table %}", table=Table([Column("Service")], [], empty="No service."))
    assert page.strip() == '<p class="empty">No service.</p>'


def test_pages_keep_the_rest_of_the_query():
    page = Paginator(range(30), 10).get_page(2)
    table = Table([Column("Service")], [["Shop"]], page=page, name="s-")
    links = table.page_links(RequestFactory().get("/?tab=checks&s-page=2").GET)
    assert links == [("1", "?tab=checks&s-page=1"), ("2", ""), ("3", "?tab=checks&s-page=3")]


def test_one_page_has_no_links():
    page = Paginator(range(3), 10).get_page(1)
    assert Table([Column("A")], [["b"]], page=page).page_links(RequestFactory().get("/").GET) == []


def test_a_head_turns_its_order_and_begins_at_the_first_page():
    table = Table([Column("Name", sort="name"), Column("State")], [], order="name")
    name, state = table.headings(RequestFactory().get("/?page=3&q=a").GET)
    assert (name.href, name.order) == ("?q=a&sort=-name", "ascending")
    assert (state.href, state.order) == ("", "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("", "admin"),
        ("?sort=-name", "user"),
        ("?sort=permissions__codename", "admin"),
        ("?sort=--name", "admin"),
        ("?page=nonsense", "admin"),
        ("?page=99999", "user"),
    ],
)
def test_a_query_orders_only_by_what_the_columns_allow(query, first):
    table = table_of(
        RequestFactory().get(f"/{query}"),
        Group.objects.all(),
        [Column("Name", sort="name")],
        lambda group: [group.name],
        order="name",
        per_page=3,
    )
    assert table.rows[-1 if "99999" in query else 0] == [first]


def test_steps_say_which_is_current():
    page = render("{% steps items 2 %}", items=["Ask", "Dry run", "Done"])
    assert '<li class="done">Ask<span class="visually-hidden"> (done)</span></li>' in page
    assert '<li class="current" aria-current="step">Dry run</li>' in page
    assert "<li>Done</li>" in page


def test_progress_of_unknown_length_shows_no_share():
    page = render("{% progress work %}", work=Progress("Prune"))
    assert '<progress aria-label="Prune"></progress>' in page


def test_cancelling_is_a_post():
    work = Progress("Test", 3, 9, "Asking", datetime(2026, 7, 1, tzinfo=UTC), "/cancel/")
    page = render("{% progress work %}", work=work)
    assert '<form method="post" action="/cancel/">' in page
    assert 'value="3" max="9"' in page


def test_a_column_tells_how_wide_its_table_must_be():
    columns = [
        Column("Name"),
        Column("For", numeric=True, room="medium"),
        Column("Next", room="wide"),
    ]
    table = Table(columns, [["Shop", "2 h", "now"]])
    heads = table.headings(RequestFactory().get("/").GET)
    assert [head.css for head in heads] == ["", "numeric room-medium", "room-wide"]
    assert table.cells() == [[("Shop", ""), ("2 h", "numeric room-medium"), ("now", "room-wide")]]
