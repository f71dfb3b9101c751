from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmctl_infra.local import sealed
from llmctl_infra.local.sealed import DamagedError, Sealer, WrongKeyError, key_id, unseal

KEY = bytes(range(32))
NAME = "attention"
# The fixture's folder is shared by the examples of one test; each example overwrites the file.
shared_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
sizes = st.sampled_from([0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200])


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks in a few bytes."""
    monkeypatch.setattr(sealed, "CHUNK", 16)


def seal(plain: bytes, path: Path, name: str = NAME, key: bytes = KEY, piece: int = 7) -> str:
    with path.open("wb") as file, Sealer(file, name, key) as sealer:
        for start in range(0, len(plain), piece):
            sealer.write(plain[start : start + piece])
    assert sealer.size == len(plain)
    return f"sha256:{sealer.digest.hexdigest()}"


def opened(path: Path, digest: str, name: str = NAME, key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    assert unseal(path, name, key, digest, out.write) == len(out.getvalue())
    return out.getvalue()


@shared_folder
@given(size=sizes, piece=st.integers(1, 70))
def test_what_is_sealed_in_any_pieces_comes_out_again(tmp_path: Path, size: int, piece: int) -> None:
    plain = os.urandom(size)
    digest = seal(plain, tmp_path / "object", piece=piece)
    assert opened(tmp_path / "object", digest) == plain
    assert size < 15 or plain not in (tmp_path / "object").read_bytes()


@shared_folder
@given(size=sizes, data=st.data())
def test_any_flipped_bit_is_refused(tmp_path: Path, size: int, data: st.DataObject) -> None:
    path = tmp_path / "object"
    digest = seal(os.urandom(size), path)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    with pytest.raises((DamagedError, WrongKeyError), match=str(path)):
        opened(path, digest)


@shared_folder
@given(size=sizes, data=st.data())
def test_any_truncation_is_refused_also_at_the_end_of_a_chunk(
    tmp_path: Path, size: int, data: st.DataObject
) -> None:
    path = tmp_path / "object"
    digest = seal(os.urandom(size), path)
    raw = path.read_bytes()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(DamagedError):
        opened(path, digest)


@shared_folder
@given(size=sizes, tail=st.binary(min_size=1, max_size=70))
def test_anything_appended_is_refused(tmp_path: Path, size: int, tail: bytes) -> None:
    path = tmp_path / "object"
    digest = seal(os.urandom(size), path)
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(DamagedError):
        opened(path, digest)


def test_chunks_that_change_places_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "object"
    digest = seal(os.urandom(64), path)
    raw = path.read_bytes()
    header, chunks = raw[:88], [raw[start : start + 32] for start in range(88, len(raw), 32)]
    path.write_bytes(b"".join([header, chunks[1], chunks[0], *chunks[2:]]))
    with pytest.raises(DamagedError, match="chunk 0"):
        opened(path, digest)


def test_another_key_is_refused_and_both_are_named(tmp_path: Path) -> None:
    digest = seal(b"weights", tmp_path / "object")
    other = bytes(32)
    with pytest.raises(WrongKeyError, match=f"{key_id(KEY)}, not with {key_id(other)}"):
        opened(tmp_path / "object", digest, key=other)
    assert sealed.sealed_with(tmp_path / "object") == key_id(KEY)


def test_an_object_cannot_pass_for_another_one(tmp_path: Path) -> None:
    digest = seal(b"weights", tmp_path / "object")
    with pytest.raises(DamagedError, match="its header or its name was changed"):
        opened(tmp_path / "object", digest, name="other")


def test_a_whole_object_with_other_content_is_refused(tmp_path: Path) -> None:
    seal(b"weights", tmp_path / "object")
    with pytest.raises(DamagedError, match="has the digest sha256:"):
        opened(tmp_path / "object", "sha256:" + "0" * 64)


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="does not exist"):
        opened(tmp_path / "object", "")
    with pytest.raises(DamagedError, match="does not exist"):
        sealed.sealed_with(tmp_path / "object")


def test_the_same_content_is_sealed_differently_each_time(tmp_path: Path) -> None:
    seal(b"weights", tmp_path / "a")
    seal(b"weights", tmp_path / "b")
    first, second = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    assert first[17:] != second[17:]


def test_a_failure_while_sealing_writes_no_last_chunk(tmp_path: Path) -> None:
    def interrupted() -> None:
        with (tmp_path / "object").open("wb") as file, Sealer(file, NAME, KEY) as sealer:
            sealer.write(bytes(40))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(DamagedError):
        opened(tmp_path / "object", "")
