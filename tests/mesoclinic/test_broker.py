"""The broker in files: whole messages only, and a broken one costs nobody the worker."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from mesoclinic import broker


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    messages = str(tmp_path / "messages")
    broker.install()
    return Connection(
        "filesystem://localhost",
        transport_options={
            "data_folder_in": messages,
            "data_folder_out": messages,
            "control_folder": str(tmp_path / "control"),
        },
    )


def test_every_message_is_taken_whole_and_once_while_others_put(connection: Connection) -> None:
    channel = connection.default_channel
    assert isinstance(channel, broker.Channel)
    putters = [
        threading.Thread(target=lambda n=n: [channel._put("mail", {"n": 100 * n + i}) for i in range(100)])
        for n in range(4)
    ]
    for putter in putters:
        putter.start()
    taken: list[int] = []
    while len(taken) < 400:
        try:
            taken.append(channel._get("mail")["n"])
        except Empty:
            assert len(taken) + channel._size("mail") or any(putter.is_alive() for putter in putters)
    for putter in putters:
        putter.join()
    assert sorted(taken) == list(range(400))


@pytest.mark.parametrize("content", [b"", b'{"body": ', b"\xff\xfe"])
def test_a_broken_message_is_dropped_and_the_next_one_taken(
    connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    channel = connection.default_channel
    (tmp_path / "messages" / "0_broken.mail.msg").write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="mesoclinic.broker"), pytest.raises(Empty):
        channel._get("mail")
    assert "A broken message in queue mail was dropped" in caplog.text
    channel._put("mail", {"n": 1})
    assert channel._get("mail") == {"n": 1}


def test_an_unfinished_message_is_nobodys(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "messages" / "0_x.mail.msg.part").write_bytes(b"{}")
    with pytest.raises(Empty):
        connection.default_channel._get("mail")
