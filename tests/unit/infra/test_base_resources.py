from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from llmctl_image.bundle import bundle_digest, write_bundle
from llmctl_infra.errors import ResourceError
from llmctl_infra.local import request_log
from llmctl_infra.local.api_key import api_key_hash, load_api_key, new_api_key
from llmctl_infra.local.kms_file import load_kms_key
from llmctl_infra.local.provider import handlers
from llmctl_infra.provider.codec import UNKNOWN
from llmctl_infra.provider.handler import Handler, Props
from llmctl_server.request_log import SCHEMA as SERVER_SCHEMA

ALL = handlers(write_bundle)


class Resource:
    """One resource in a tiny stand-in for the engine: create, refresh, update."""

    def __init__(self, noun: str, **inputs: Any) -> None:
        self.handler: Handler = ALL[f"llmctl:local:{noun}"]
        self.inputs = {name: str(value) if isinstance(value, Path) else value for name, value in inputs.items()}
        self.id, outputs = self.handler.create("name", self.inputs)
        self.outputs: Props = {**self.inputs, **outputs}

    def refresh(self) -> list[str] | None:
        """What is wrong now; None when it is gone."""
        found = self.handler.read(self.id, self.inputs, self.outputs)
        if found is None:
            return None
        self.outputs = {**found[0], **found[1]}
        return list(found[1]["drift"])

    def changes(self, **news: Any) -> tuple[str, ...]:
        """What an update would change."""
        return self.handler.diff(self.id, self.inputs, self.outputs, {**self.inputs, **news}).changed

    def update(self, **news: Any) -> None:
        """Bring it to new inputs."""
        self.inputs = {**self.inputs, **news}
        self.outputs = {**self.inputs, **self.handler.update(self.id, self.outputs, self.inputs)}

    def delete(self) -> None:
        """Remove it."""
        self.handler.delete(self.id, self.outputs)


@pytest.fixture
def kms(tmp_path: Path) -> Resource:
    return Resource("KmsKey", path=tmp_path / "kms.key")


@pytest.fixture
def store(tmp_path: Path, kms: Resource) -> Resource:
    sealing = {"kmsKeyPath": kms.inputs["path"], "kmsKeyId": kms.outputs["keyId"]}
    return Resource("ModelStore", path=tmp_path / "store", **sealing)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(os.urandom(3000))
    return folder


@pytest.fixture
def model(store: Resource, bundle: Path) -> Resource:
    sealing = {name: store.inputs[name] for name in ("kmsKeyPath", "kmsKeyId")}
    source = {"name": "attention", "source": bundle, "digest": bundle_digest(bundle)}
    return Resource("Model", storePath=store.inputs["path"], **sealing, **source)


def healthy(resource: Resource) -> bool:
    return resource.refresh() == [] and resource.changes() == ()


# -- all of them -----------------------------------------------------------------------------------------------


def test_making_it_again_takes_over_what_is_there(tmp_path: Path, kms: Resource, model: Resource) -> None:
    again = Resource("KmsKey", **kms.inputs)
    assert again.outputs == kms.outputs
    before = Path(model.outputs["objectPath"]).stat().st_ino
    assert Resource("Model", **model.inputs).outputs == model.outputs
    assert Path(model.outputs["objectPath"]).stat().st_ino == before


def test_an_interrupted_create_is_found_and_an_unmade_one_is_not(tmp_path: Path, model: Resource) -> None:
    assert model.handler.find(model.inputs) == (model.id, {**model.handler.read(model.id, model.inputs, {})[1]})  # type: ignore[index]
    model.delete()
    assert model.handler.find(model.inputs) is None
    key = ALL["llmctl:local:ApiKey"]
    assert key.find({"name": "default", "path": str(tmp_path / "key"), "value": UNKNOWN}) is None


def test_deleting_twice_is_fine_and_leaves_nothing(
    tmp_path: Path, kms: Resource, store: Resource, model: Resource
) -> None:
    log = Resource("RequestLog", path=tmp_path / "logs" / "requests.sqlite", retentionDays=1)
    key = Resource("ApiKey", name="default", path=tmp_path / "keys" / "default")
    for _ in range(2):
        for each in (log, key, model, store, kms):
            each.delete()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "home"]


def test_inputs_of_the_wrong_kind_are_refused_all_at_once_unless_still_unknown() -> None:
    _, failures = ALL["llmctl:local:Model"].check(
        {
            "storePath": UNKNOWN,
            "kmsKeyPath": "/k",
            "kmsKeyId": 3,
            "name": "Not good",
            "digest": UNKNOWN,
            "extra": 1,
        }
    )
    assert sorted(each.property for each in failures) == ["extra", "kmsKeyId", "name", "source"]


def test_an_import_by_id_alone_is_not_possible() -> None:
    assert all(handler.read("id", {}, {}) is None for handler in ALL.values())


# -- the master key --------------------------------------------------------------------------------------------


def test_a_key_file_is_private_and_a_wide_one_is_drift(tmp_path: Path, kms: Resource) -> None:
    path = tmp_path / "kms.key"
    assert healthy(kms)
    path.chmod(0o644)
    assert kms.refresh() == [f"{path} has mode 0644, not 0600"]
    assert kms.changes() == ("drift",)
    kms.update()
    assert healthy(kms)


def test_a_lost_key_is_gone_and_a_damaged_one_is_put_aside(tmp_path: Path, kms: Resource) -> None:
    path, first = tmp_path / "kms.key", kms.outputs["keyId"]
    path.write_text("not a key")
    assert kms.refresh() == [f"the KMS key {path} is damaged: it does not hold 32 bytes in base64"]
    kms.update()
    assert healthy(kms)
    assert kms.outputs["keyId"] != first
    assert (tmp_path / "kms.key.damaged").read_text() == "not a key"
    path.unlink()
    assert kms.refresh() is None
    with pytest.raises(ResourceError, match="cannot read the KMS key"):
        load_kms_key(path)


# -- the store and the model -----------------------------------------------------------------------------------


def test_a_store_that_was_deleted_is_gone_and_an_edited_one_is_drift(tmp_path: Path, store: Resource) -> None:
    record = tmp_path / "store" / "store.json"
    assert healthy(store)
    record.write_text("{}")
    assert store.refresh() == [f"{record} was edited"]
    store.update()
    assert healthy(store)
    record.unlink()
    assert store.refresh() is None


def test_another_master_key_has_the_model_sealed_again(kms: Resource, store: Resource, model: Resource) -> None:
    Path(kms.inputs["path"]).unlink()
    fresh = Resource("KmsKey", **kms.inputs)
    store.update(kmsKeyId=fresh.outputs["keyId"])
    assert model.changes(kmsKeyId=fresh.outputs["keyId"]) == ("kmsKeyId",)
    model.update(kmsKeyId=fresh.outputs["keyId"])
    assert healthy(model)


def test_a_changed_object_is_drift_even_with_its_old_size_and_time(model: Resource) -> None:
    path = Path(model.outputs["objectPath"])
    before = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert model.refresh() == [f"the object {path} is damaged: its bytes have changed"]
    assert model.changes() == ("drift",)
    model.update()
    assert healthy(model)


def test_a_touched_object_with_the_same_bytes_is_healthy(model: Resource) -> None:
    path = Path(model.outputs["objectPath"])
    path.write_bytes(path.read_bytes())
    assert healthy(model)


def test_a_deleted_object_is_gone_and_a_lost_record_is_drift(model: Resource) -> None:
    path = Path(model.outputs["objectPath"])
    path.with_suffix(".json").unlink()
    assert model.refresh() == [f"the record of {path} is missing or damaged"]
    model.update()
    assert healthy(model)
    path.unlink()
    assert model.refresh() is None


def test_a_bundle_that_is_not_what_was_asked_for_is_refused_and_nothing_is_left(
    model: Resource, bundle: Path
) -> None:
    (bundle / "model.onnx").write_bytes(b"other")
    folder = Path(model.outputs["objectPath"]).parent
    before = sorted(folder.iterdir())
    with pytest.raises(ResourceError, match=f"{bundle} has the digest sha256:"):
        model.update(digest="sha256:" + "1" * 64)
    assert sorted(folder.iterdir()) == before


def test_earlier_objects_stay_for_running_servers_but_not_for_ever(model: Resource, bundle: Path) -> None:
    paths = [Path(model.outputs["objectPath"])]
    for number in range(4):
        (bundle / "model.onnx").write_bytes(bytes([number]))
        model.update(digest=bundle_digest(bundle))
        paths.append(Path(model.outputs["objectPath"]))
    assert [path.exists() for path in paths] == [False, False, True, True, True]


def test_a_preview_tells_the_objects_path_as_soon_as_the_digest_is_known(model: Resource) -> None:
    handler = model.handler
    assert handler.preview(model.inputs, None)["objectPath"] == model.outputs["objectPath"]
    assert handler.preview({**model.inputs, "digest": UNKNOWN}, None)["objectPath"] is UNKNOWN


# -- the API key -----------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_known_by_its_hash(tmp_path: Path) -> None:
    key = Resource("ApiKey", name="default", path=tmp_path / "keys" / "default")
    value = load_api_key(tmp_path / "keys" / "default")
    assert (value[:7], len(value)) == ("llmctl_", 50)
    assert (key.outputs["keyId"], key.outputs["sha256"]) == ("default", api_key_hash(value))
    assert healthy(key)
    assert Resource("ApiKey", **key.inputs).outputs == key.outputs
    assert new_api_key() != new_api_key()


def test_a_key_that_was_put_there_by_hand_is_taken_over_unless_one_is_given(tmp_path: Path) -> None:
    path, mine = tmp_path / "key", new_api_key()
    made = Resource("ApiKey", name="default", path=path)
    path.write_text(mine)
    assert made.refresh() == []
    assert made.outputs["sha256"] == api_key_hash(mine)
    given = Resource("ApiKey", name="other", path=tmp_path / "other", value="given-key-of-some-length")
    (tmp_path / "other").write_text(mine)
    assert given.refresh() == [f"{tmp_path / 'other'} was edited"]
    given.update()
    assert load_api_key(tmp_path / "other") == "given-key-of-some-length"


def test_a_file_without_a_key_is_drift_and_an_update_makes_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = Resource("ApiKey", name="default", path=path)
    path.write_text("\n")
    assert made.refresh() == [f"{path} holds no API key"]
    with pytest.raises(ResourceError, match="holds no API key"):
        load_api_key(path)
    made.update()
    assert healthy(made)
    path.unlink()
    assert made.refresh() is None


# -- the request log -------------------------------------------------------------------------------------------


def insert(path: Path, moments: list[float]) -> None:
    row = ("id", "server-1", "", "attention", "default", "/v1/classify", 200, 1, 3, 0.1, 2.0, 2.2, None)
    with sqlite3.connect(path) as log:
        log.executemany(
            "INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [(each, *row) for each in moments]
        )
    log.close()


def moments(path: Path) -> list[float]:
    log = sqlite3.connect(path)
    found = [row[0] for row in log.execute("SELECT time FROM requests ORDER BY time")]
    log.close()
    return found


def test_the_table_is_the_one_that_the_server_writes() -> None:
    assert request_log.SCHEMA == SERVER_SCHEMA


def test_old_rows_go_by_themselves_as_new_ones_come(tmp_path: Path) -> None:
    path, now = tmp_path / "requests.sqlite", time.time()
    log = Resource("RequestLog", path=path, retentionDays=2)
    insert(path, [now - 3 * 86_400] * 3 + [now - 86_400])
    assert len(moments(path)) == 4
    insert(path, [now] * 100)
    assert len(moments(path)) == 101
    log.update(retentionDays=1)
    assert min(moments(path)) == pytest.approx(now)
    assert healthy(log)


def test_a_log_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    log = Resource("RequestLog", path=path, retentionDays=2)
    assert path.stat().st_mode & 0o777 == 0o600
    for companion in tmp_path.glob("requests.sqlite-*"):
        companion.unlink()
    path.write_text("this is not a database, and it is long enough to be read as one" * 20)
    assert log.refresh() == [f"{path} is not a SQLite database"]
    log.update()
    assert healthy(log)
    assert (tmp_path / "requests.sqlite.damaged").exists()


def test_a_log_that_no_longer_forgets_is_drift(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    log = Resource("RequestLog", path=path, retentionDays=2)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER retention")
    connection.close()
    assert log.refresh() == [f"{path} does not delete rows after 2 days"]
    log.update()
    assert healthy(log)
