"""The bundle that ships, in the real process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from llmctl_image.bundle import builtin, bundle_digest, read_card
from support.server_process import ServerProcess

pytestmark = pytest.mark.platform

TEXTS = (
    ("a warm, funny and moving film with wonderful actors", "positive"),
    ("one of the best and most beautiful movies of the year", "positive"),
    ("a dull, stupid and boring mess, a complete waste of time", "negative"),
    ("the worst script i have ever seen, bad in every way", "negative"),
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return builtin("attention")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ServerProcess]:
    with ServerProcess(folder, LLMCTL_MODEL_DIGEST=bundle_digest(folder), LLMCTL_THREADS="2") as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count resident memory in other ways")
def test_an_idle_server_is_small(server: ServerProcess) -> None:
    assert psutil.Process(server.process.pid).memory_info().rss < 180 << 20


def test_it_tells_praise_from_blame(client: httpx.Client) -> None:
    answer = client.post("/v1/classify", json={"texts": [text for text, _ in TEXTS]}).json()

    assert [result["label"] for result in answer["results"]] == [label for _, label in TEXTS]


def test_info_shows_the_card_that_is_in_the_bundle(client: httpx.Client, folder: Path) -> None:
    info = client.get("/info").json()

    assert info["model"]["card"] == read_card(folder)
    assert info["model"]["digest"] == bundle_digest(folder)


def test_a_score_moves_with_its_neighbours_no_more_than_8_bits_explain(client: httpx.Client, folder: Path) -> None:
    """Activations are scaled by the largest value in the run, so an answer depends a little on the company."""
    measured = read_card(folder)["accuracy"].values()
    tolerance = 2 * max(each["max_difference"] for each in measured)
    texts = [f"{text} {'and then some more of it ' * (number % 7)}" for number in range(8) for text, _ in TEXTS]

    alone = [client.post("/v1/classify", json={"text": text}).json()["score"] for text in texts]
    together = client.post("/v1/classify", json={"texts": texts}).json()["results"]

    assert [result["score"] for result in together] == pytest.approx(alone, abs=tolerance)


def test_a_thousand_tokens_are_read_and_one_more_is_refused(client: httpx.Client) -> None:
    longest = client.post("/v1/classify", json={"text": "film " * 1000})
    longer = client.post("/v1/classify", json={"text": "film " * 1001})

    assert (longest.status_code, longest.json()["tokens"]) == (200, 1000)
    assert (longer.status_code, longer.json()["error"]["code"]) == (422, "too_many_tokens")
