"""The broker that needs no server: kombu's file-system transport, with each message put down whole.

Kombu opens a message's file under its final name and fills it afterwards, so a worker that looks in between takes an
empty file, and the error ends the worker. Here the file gets its name once it is complete. A file that a crash left
broken is dropped with a warning: work is rows, and the next tick finds it again.
"""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]  # names as in its parent
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        unfinished = folder / f"{name}.part"  # not the name of any queue's message, so nobody takes it
        try:
            unfinished.write_bytes(str_to_bytes(dumps(payload)))  # type: ignore[no-untyped-call]
            unfinished.replace(folder / name)
        except OSError as error:
            raise ChannelError(f"Cannot put a message into {folder}") from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        try:
            message: dict[str, Any] = super()._get(queue)  # type: ignore[no-untyped-call]
        except ValueError as error:  # JSON or its encoding; the file is gone already
            logger.warning("A broken message in queue %s was dropped: %s", queue, error)
            raise Empty from error
        return message


class Transport(filesystem.Transport):
    Channel = Channel


def install() -> None:
    """Let ``filesystem://`` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
