"""A real SMTP server in a process of its own, which can be told where to stall.

    python _smtp_server.py PORT FOLDER

It reads FOLDER/stage before each step (``go``, or where to stop: ``greeting``, ``data``, ``reply``) and adds one JSON
line to FOLDER/log for each step it reached. A stalled step ends when the client is gone, as it does in a real server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

FOREVER = 3600


class Handler:
    def __init__(self, folder: Path) -> None:
        self.stage_file = folder / "stage"
        self.log_file = folder / "log"

    def note(self, event: str, **details: str) -> None:
        with self.log_file.open("a") as log:
            log.write(json.dumps({"event": event, **details}) + "\n")

    async def stop_at(self, stage: str) -> None:
        if self.stage_file.read_text().strip() == stage:
            await asyncio.sleep(FOREVER)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.note("greeting")
        await self.stop_at("greeting")
        return responses

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content or b"")  # type: ignore[arg-type]
        about = {"id": message["Message-ID"], "date": message["Date"], "to": envelope.rcpt_tos[0]}
        self.note("data", **about)
        await self.stop_at("data")
        self.note("accepted", **about)
        await self.stop_at("reply")
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
