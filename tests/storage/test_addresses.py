"""URLs: which kind one is, what it names, and that nothing of it is shown or kept that is secret."""

from __future__ import annotations

import pytest

from forecaster.errors import DataError, UsageError, masked, quoted
from forecaster.storage.addresses import (
    address,
    is_database,
    is_remote,
    is_url,
    name_in,
    resolved,
    shown,
    with_selection,
    with_variables,
    without_secrets,
)

SECRETS = [
    "postgresql://me:hunter2@host/db?table=sales",
    "postgresql+psycopg://me:hunter2@host:5432/db?query=select%20a",
    "mysql://me:a/hunter2@host/db",
    "mysql://me:a:hunter2@host/db",
    "postgresql://me:x@hunter2@host/db",  # an @ that should have been quoted
    "postgresql://me@host/db?password=hunter2&table=sales",
    "postgresql://:hunter2@host/db",
    "https://host/file.csv?sig=hunter2&v=1",
    "https://host:8443/file.csv?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
    "s3://key:hunter2@bucket/file.csv",
    "ftp://me:hunter2@host/file.csv",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_secret_is_neither_shown_nor_stored(url):
    texts = [masked(f"a {url} b {url}"), shown(url), quoted(url), str(DataError(f"{url}: no.", f"See '{url}'."))]
    texts += [without_secrets(url), masked(f"{url[: url.index('hunter2') + 3]}…")]
    assert not [
        text for text in texts if "hunter2:" in text or "hunter2@" in text or "=hunter2" in text or "hun…" in text
    ]


def test_what_is_no_secret_stays():
    for text in (
        "https://host:8443/file@2.csv",
        "see https://host:80",
        "C://x",
        "at 12:30 a@b",
        "s3://bucket/a:b@c.csv",
    ):
        assert masked(text) == text
    assert without_secrets("https://host:8443/a@b.csv") == "https://host:8443/a@b.csv"


def test_a_variable_is_kept_in_what_is_stored_and_filled_in_for_the_connection(monkeypatch):
    url = "postgresql://me:${SALES_PASSWORD}@host/db?table=sales"
    assert without_secrets(url) == url and "${" in without_secrets(url)
    monkeypatch.setenv("SALES_PASSWORD", "p@ss/word")
    assert with_variables(url) == "postgresql://me:p%40ss%2Fword@host/db?table=sales"
    monkeypatch.delenv("SALES_PASSWORD")
    with pytest.raises(UsageError, match="SALES_PASSWORD is not set"):
        with_variables(url)


@pytest.mark.parametrize(
    ("source", "database", "remote"),
    [
        ("sales.csv", False, False),
        ("-", False, False),
        ("a:b.csv", False, False),
        ("sqlite:///shop.db", True, False),
        ("postgresql+psycopg://host/db", True, False),
        ("exasol://host/db?table=a", True, False),
        ("https://host/a.csv?table=a", False, True),
        ("s3://bucket/a.parquet", False, True),
    ],
)
def test_a_url_is_of_a_database_or_of_a_file_elsewhere(source, database, remote):
    assert (is_database(source), is_remote(source), is_url(source)) == (database, remote, database or remote)


def test_a_query_goes_into_the_url_and_comes_back():
    query = "select * from sales where name like '%&=?#ü' and day::date > 'x'"
    whole = with_selection("postgresql://host/db?sslmode=require", query, None)
    assert address(whole).query == query and address(whole).url == "postgresql://host/db?sslmode=require"
    assert with_selection(whole, None, None) == with_selection(whole, query, None) == whole
    assert name_in(with_selection("sqlite:///shop.db", None, "sales")) == "sales"


@pytest.mark.parametrize(
    ("url", "query", "table", "message"),
    [
        ("sqlite:///a.db", None, None, "nothing says what to read"),
        ("sqlite:///a.db", "select 1", "a", "exclude each other"),
        ("sqlite:///a.db?table=a", None, "b", "both name"),
        ("sqlite:///a.db?table=a&query=b", None, None, "exclude each other"),
        ("sqlite:///a.db?table=a&rows=some", None, None, "rows=some is not known"),
    ],
)
def test_contradictions_are_refused(url, query, table, message):
    with pytest.raises(UsageError, match=message):
        with_selection(url, query, table)


def test_paths_are_in_a_folder_and_other_urls_stay(tmp_path):
    assert resolved("a.csv", tmp_path) == str(tmp_path / "a.csv")
    assert resolved("sqlite:///a.db?table=b", tmp_path) == f"sqlite:///{tmp_path}/a.db?table=b"
    assert resolved("sqlite:////abs/a.db", tmp_path) == "sqlite:////abs/a.db"
    assert resolved("s3://bucket/a", tmp_path) == "s3://bucket/a"
