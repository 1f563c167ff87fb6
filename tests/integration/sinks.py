"""A mail server and a web server on loopback that keep what they are sent, or refuse it, as a test says."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass
class MailSink:
    """An SMTP server that is enough for a client that sends mail."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refusal: str = ""
    """What it says to every mail, e.g. ``451 later``; empty to take it."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?from=tidemill@example.com&tls=off"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        finally:  # of a conversation that is cut off too: what is left open is noticed later, in another test
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        await say("220 sink")
        to: list[str] = []
        while line := (await reader.readline()).decode().strip():
            match line.upper().split(":")[0].split(" ")[0]:
                case "EHLO" | "HELO":
                    await say("250-sink\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")
                case "AUTH":
                    await say(self.refusal or "235 welcome")
                case "MAIL" | "RSET" | "NOOP":
                    to = []
                    await say("250 ok")
                case "RCPT":
                    to.append(line.partition("<")[2].partition(">")[0])
                    await say("250 ok")
                case "DATA":
                    await say("354 go on")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    if self.refusal:
                        await say(self.refusal)
                        continue
                    self.mails.append(message_from_bytes(content[:-5], policy=default))
                    self.recipients.append(to)
                    await say("250 taken")
                case "QUIT":
                    await say("221 bye")
                    break
                case _:
                    await say("502 no")


@contextmanager
def mail_sink(port: int = 0) -> Iterator[MailSink]:
    """Run a mail server in a thread of its own, on a free port unless one is named."""
    sink, loop, ready = MailSink(), asyncio.new_event_loop(), threading.Event()

    async def run() -> None:
        server = await asyncio.start_server(sink.serve, "127.0.0.1", port, limit=2**22)
        sink.port = server.sockets[0].getsockname()[1]
        ready.set()
        stop.set_result(server)

    stop: asyncio.Future[Any] = loop.create_future()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(run(), loop)
    assert ready.wait(10), "the sink did not start"
    try:
        yield sink
    finally:

        async def close() -> None:
            stop.result().close()
            conversations = asyncio.all_tasks() - {asyncio.current_task()}
            for task in conversations:
                task.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)
            await asyncio.sleep(0)  # one more turn of the loop, in which the transports are let go

        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass
class HookSink:
    """A web server that keeps the bodies that it is sent."""

    port: int = 0
    bodies: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200


@contextmanager
def hook_sink() -> Iterator[HookSink]:
    """Run a web server in a thread of its own, on a free port."""
    sink = HookSink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.0"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if sink.status < 300:
                sink.bodies.append(body)
                sink.paths.append(self.path)
            self.send_response(sink.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield sink
        server.shutdown()
        thread.join(10)
