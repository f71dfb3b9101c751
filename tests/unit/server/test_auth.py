from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import pytest

from llmctl_server.auth import KeyFile
from llmctl_server.errors import ApiError, ExitCode, StartError

KEY = "llmctl_" + "k" * 43
OTHER = "llmctl_" + "o" * 43


def write(path: Path, **keys: str) -> None:
    """Replace the file as an administrator would, with a time stamp that differs for sure."""
    entries = [{"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()} for name, key in keys.items()]
    replace(path, json.dumps({"keys": entries}))


def replace(path: Path, content: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(path)


def refused(keys: KeyFile, **headers: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        keys.check(given(**headers))
    return caught.value


def given(**headers: str) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    write(path, default=KEY, other=OTHER)
    return path


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"x_api_key": KEY},
        {"authorization": "Bearer wrong", "x_api_key": KEY},
        {"authorization": f"Bearer {KEY}", "x_api_key": "wrong"},
    ],
)
def test_a_known_key_is_found_in_either_header(path: Path, headers: dict[str, str]) -> None:
    assert KeyFile(path).check(given(**headers)) == "default"


def test_each_key_has_its_name(path: Path) -> None:
    assert KeyFile(path).check(given(x_api_key=OTHER)) == "other"


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer"}, {"authorization": "Basic abc"}, {"x_api_key": ""}]
)
def test_a_request_without_a_key_is_told_how_to_send_one(path: Path, headers: dict[str, str]) -> None:
    error = refused(KeyFile(path), **headers)

    assert (error.status, error.code, error.type) == (401, "missing_api_key", "authentication_error")
    assert error.headers == ((b"www-authenticate", b'Bearer realm="llmctl"'),)
    assert "x-api-key" in error.message


def test_an_unknown_key_is_refused_and_not_repeated(path: Path) -> None:
    error = refused(KeyFile(path), x_api_key=KEY + "x")

    assert (error.status, error.code) == (401, "invalid_api_key")
    assert KEY not in error.message


def test_the_hash_of_a_key_is_not_a_key(path: Path) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()

    assert refused(KeyFile(path), x_api_key=digest).code == "invalid_api_key"


def test_a_key_that_was_added_works_at_once(path: Path) -> None:
    keys = KeyFile(path)
    write(path, default=KEY, new="llmctl_new")

    assert keys.check(given(x_api_key="llmctl_new")) == "new"


def test_a_key_that_was_taken_away_stops_working_at_the_next_look(path: Path) -> None:
    keys = KeyFile(path)
    write(path, other=OTHER)
    keys.refresh()

    assert refused(keys, x_api_key=KEY).code == "invalid_api_key"
    assert keys.check(given(x_api_key=OTHER)) == "other"


def test_a_changed_file_is_noticed_even_when_its_time_and_size_are_the_same(path: Path) -> None:
    stamp = path.stat()
    keys = KeyFile(path)
    write(path, default="llmctl_" + "z" * 43, other=OTHER)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    keys.refresh()

    assert refused(keys, x_api_key=KEY).code == "invalid_api_key"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": {}}', '{"keys": [{"name": "a", "sha256": "zz"}]}'])
def test_a_file_that_became_malformed_leaves_the_last_good_keys(
    path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(path)
    replace(path, content)
    with caplog.at_level(logging.WARNING):
        keys.refresh()
        keys.refresh()

    assert keys.check(given(x_api_key=KEY)) == "default"
    assert [record.getMessage() for record in caplog.records if "stay in force" in record.getMessage()]
    assert len(caplog.records) == 1


def test_a_file_that_went_missing_leaves_the_last_good_keys_and_is_read_when_it_returns(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(path)
    path.unlink()
    with caplog.at_level(logging.WARNING):
        keys.refresh()
        keys.refresh()
    assert keys.check(given(x_api_key=KEY)) == "default"
    assert len(caplog.records) == 1

    write(path, new="llmctl_new")
    keys.refresh()
    assert keys.check(given(x_api_key="llmctl_new")) == "new"
    assert refused(keys, x_api_key=KEY).code == "invalid_api_key"


def test_a_name_may_have_two_keys_while_one_replaces_the_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    hashes = [hashlib.sha256(key.encode()).hexdigest() for key in (KEY, OTHER)]
    path.write_text(json.dumps({"keys": [{"name": "default", "sha256": each} for each in hashes]}))

    keys = KeyFile(path)

    assert keys.check(given(x_api_key=KEY)) == keys.check(given(x_api_key=OTHER)) == "default"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("{", "Expecting property name"),
        ("[]", "must be a JSON object with a list `keys`"),
        ('{"keys": [{"sha256": "' + "a" * 64 + '"}]}', "keys[0].name must be a text"),
        ('{"keys": [{"name": "a", "sha256": "A"}]}', "keys[0].sha256 must be 64 lower-case hex digits"),
    ],
)
def test_the_server_does_not_start_without_usable_keys(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(StartError) as caught:
        KeyFile(path)

    assert caught.value.exit_code == ExitCode.CONFIG
    assert caught.value.lines[0].startswith(f"LLMCTL_KEYS_FILE={path}: ")
    assert reason in caught.value.lines[0]


def test_a_file_without_keys_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write(path)

    assert refused(KeyFile(path), x_api_key=KEY).code == "invalid_api_key"
