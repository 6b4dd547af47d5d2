"""Each table is watched for writes past the platform, or somebody said why not."""

from django.apps import apps

from audit.engine.watched import EXEMPT, WATCHED


def _models():
    return {
        model._meta.db_table: model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
    }


def test_each_table_is_watched_or_exempt():
    tables = {table for table in _models() if table in WATCHED or table in EXEMPT}
    assert set(_models()) - tables == set()
    assert set(WATCHED) & set(EXEMPT) == set()


def test_no_entry_names_what_is_not_there():
    models = _models()
    assert set(WATCHED) - set(models) == set()
    for table, watch in WATCHED.items():
        columns = {field.column for field in models[table]._meta.concrete_fields}
        assert set(watch.columns) <= columns, table
        assert watch.key in columns, table
