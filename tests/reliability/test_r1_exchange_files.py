"""Files of checks: what is read, and what is refused before anything is built of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.engine import exchange
from reliability.engine.exchange import Row, UnreadableError

NASTY = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: [", "Line 2: this is no YAML"),
        ("- a\n- b", "must be an object of names and values"),
        ("services: {}", "“services” must be a list"),
        ("services:\n- Shop", "Line 2: A service must be an object"),
        ("services:\n- name: a\n  name: b", "Line 3: “name” stands there twice."),
        ("services:\n- &x {name: a}\n- *x", "Line 2: anchors and aliases are not read."),
        ("services:\n- name: a\n  checks: x", "“checks” must be a list"),
        ("services:\n- name: !!python/name:os.system x", "is not read"),
        ("version: 2\nservices: []", "The file has version 2"),
        ("colour: red\nservices: []", "the file has no part “colour”"),
        ("services: []", "The file names no service."),
        ("services: " + "[" * 5000, "nothing here is nested so deep"),
        ("? [a]\n: b", "a name must be plain text"),
        ("", "must be an object"),
        ('services:\n- name: "a\\0b"', "Line 2: a NUL character is not read."),
        ("services: [" + "a," * 600_000 + "]", "The file has more than 600,000 values."),
    ],
)
def test_yaml_that_is_not_read(text, why):
    with pytest.raises(UnreadableError) as refused:
        exchange.read(text, "yaml")

    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,url\na,b", "Line 1: the first line must name the columns"),
        ("service,url,url\na,b,c", "Line 1: the column “url” stands there twice."),
        ("service\na,b", "Line 2 has 2 cells, but there are 1 columns."),
        ('service\n"a', "Line 2: unexpected end of data."),
        ("service,url\n,\n", "The file names no service."),
        ("", "Line 1: the first line must name the columns"),
    ],
)
def test_tables_that_are_not_read(text, why):
    with pytest.raises(UnreadableError) as refused:
        exchange.read(text, "csv")

    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"a\x00b", "NUL"),
        (b"a" * (exchange.MAX_BYTES + 1), "longer than 8 MB"),
    ],
)
def test_what_is_no_text_is_refused(content, why):
    with pytest.raises(UnreadableError) as refused:
        exchange.text_of(content)

    assert why in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        '!!int "[&a [x], &b [*a, *a]]"',
        '!!int "&a [*a]"',
        '!!float "{a: b}"',
        '!!bool "[a]"',
        "0b_",
        "0x_",
        "0x1F",
        "1_000",
        "1:30",
        ".nan",
        "-.inf",
        "1" * 5_000,
        "9223372036854775808",
        "1.0e+999",
    ],
)
def test_no_value_is_read_as_a_document_or_as_what_no_json_has(value):
    text = f"services:\n- name: a\n  checks:\n  - {{name: b, assertions: [{value}]}}"

    with pytest.raises(UnreadableError) as refused:
        exchange.read(text, "yaml")

    assert "Line 4: “" in str(refused.value)
    assert "put text into quotes" in str(refused.value)
    assert len(str(refused.value)) < 120


def test_plain_values_inside_of_lists_are_what_they_look_like():
    text = 'services:\n- {name: a, x: [1, -2, 1.5, true, no, null, "3", 2026-01-02, 1.0e+3]}'

    (row,) = exchange.read(text, "yaml")

    assert row.service["x"] == [1, -2, 1.5, True, False, None, "3", "2026-01-02", 1000.0]


def test_too_many_rows_are_refused():
    text = "service\n" + "a\n" * (exchange.MAX_ROWS + 1)

    with pytest.raises(UnreadableError) as refused:
        exchange.read(text, "csv")

    assert "more than 20,000 rows" in str(refused.value)


def test_a_table_of_another_country_is_read():
    text = "\ufeffservice;url\r\nShop;http://a.example/\r\n"

    (row,) = exchange.read(exchange.text_of(text.encode()), "csv")

    assert row == Row(2, {"name": "Shop"}, {"url": "http://a.example/"}, {})


def test_rows_know_their_lines_past_cells_of_several_lines():
    text = 'service,dns_expected\nShop,"a\nb"\n\nLedger,c\n'

    assert [row.line for row in exchange.read(text, "csv")] == [2, 5]


def test_plain_words_of_yaml_stay_text():
    text = "services:\n- name: on\n  owner: 1.10\n  url: null\n  checks:\n  - {name: 2026-01-02}"

    (row,) = exchange.read(text, "yaml")

    assert row == Row(6, {"name": "on", "owner": "1.10", "url": None}, {"name": "2026-01-02"}, {})


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "'=1", "''", "'a", "plain"])
def test_no_cell_is_a_formula_and_comes_back_as_it_was(text):
    row = Row(2, {"name": "Shop", "owner": text})

    table = "".join(exchange.write_csv([row], ("service", "service_owner")))

    assert table.split("\r\n")[1].split(",")[1][0] not in "=+-@"
    assert exchange.read(table, "csv") == [row]


@pytest.mark.parametrize("text", ["\n=1", "\r=1", "\t=1", "\u00a0=1", " \u2003@a"])
def test_no_white_space_hides_a_formula(text):
    row = Row(2, {"name": "Shop", "owner": text})

    table = "".join(exchange.write_csv([row], ("service", "service_owner")))

    assert table.split(",", 2)[2].lstrip('"').startswith("'")


@given(name=NASTY.filter(str.strip), value=NASTY)
def test_whatever_is_written_is_read_again(name, value):
    row = Row(2, {"name": name.strip(), **({"owner": value.strip()} if value.strip() else {})})

    table = "".join(exchange.write_csv([row], ("service", "service_owner")))
    tree = "".join(exchange.write_yaml([{"name": name, "owner": value}]))

    assert exchange.read(table, "csv") == [row]
    assert [(one.service["name"], one.service["owner"]) for one in exchange.read(tree, "yaml")] == [
        (name, value)
    ]
