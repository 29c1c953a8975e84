"""A real SMTP server in a process of its own that refuses for now, refuses for good and hangs up, at fixed shares.

    python _rough_smtp.py PORT FOLDER

Which message is refused for good follows from its Message-ID; which try is refused for now or hung up on is drawn. It
adds one JSON line to FOLDER/log for each letter that it was shown. Without MESOCLINIC_DEEP=1 no message is refused for
now more than twice, so that the end comes soon.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sys
from collections import Counter
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

TEMPORARY, PERMANENT, DROPPED = 0.10, 0.02, 0.02
SLOW = 0.003  # seconds for each letter, so that a kill finds some on their way


def for_good(message_id: str) -> bool:
    digest = hashlib.sha256(message_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < PERMANENT


class Handler:
    def __init__(self, folder: Path) -> None:
        self.log = (folder / "log").open("a", buffering=1)
        self.random = random.Random(7)
        self.refused = Counter[str]()
        self.most = 99 if os.environ.get("MESOCLINIC_DEEP") == "1" else 2

    def note(self, event: str, **details: str) -> None:
        self.log.write(json.dumps({"event": event, **details}) + "\n")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content or b"")  # type: ignore[arg-type]
        about = {"id": message["Message-ID"], "date": message["Date"], "to": envelope.rcpt_tos[0]}
        await asyncio.sleep(SLOW)
        if for_good(about["id"]):
            self.note("refused", **about)
            return "550 5.1.1 no such user"
        chance = self.random.random() if self.refused[about["id"]] < self.most else 1.0
        self.refused[about["id"]] += chance < TEMPORARY + DROPPED
        if chance < TEMPORARY:
            self.note("postponed", **about)
            return "451 4.3.0 try again later"
        if chance < TEMPORARY + DROPPED:
            self.note("dropped", **about)
            if server.transport is not None:
                server.transport.abort()
            return "421 4.3.2 gone"
        self.note("accepted", **about)
        return "250 OK"


async def serve(port: int, folder: Path) -> None:
    handler = Handler(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, hostname="localhost", loop=loop), "127.0.0.1", port)
    handler.note("listening")
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
