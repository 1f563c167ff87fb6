"""A proxy before Postgres that cuts the connection at one COMMIT: before the server hears it, or before we hear back."""

import socket
import threading
from contextlib import suppress
from typing import Literal

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # the message as libpq sends it


class CuttingProxy:
    """Passes everything on, until a connection that has said ``trigger`` says COMMIT.

    Parameters
    ----------
    port : int
        Of Postgres, on this machine.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.trigger, self.when, self.cuts = b"", "never", 0
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, trigger: bytes, when: Literal["before", "after"]) -> None:
        """Cut once: ``before`` the COMMIT reaches the server, or ``after`` its answer has left it."""
        self.trigger, self.when = trigger, when

    def close(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            answers.start()
            self._pass_on_until_cut(client, server)
            for one in (client, server):
                _hang_up(one)
            answers.join()

    def _pass_on_until_cut(self, client: socket.socket, server: socket.socket) -> None:
        said = False
        while data := _receive(client):
            said = said or (self.when != "never" and self.trigger in data)
            if not (said and COMMIT in data):
                server.sendall(data)
                continue
            self.cuts += 1
            when, self.when = self.when, "never"
            if when == "after":
                _hang_up(client)  # no answer goes back from here on
                server.sendall(data)
                server.shutdown(socket.SHUT_WR)
                while _receive(server):  # until the server has done it all and hung up
                    continue
            return


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while data := _receive(source):
        try:
            target.sendall(data)
        except OSError:  # cut
            return


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(1 << 16)
    except OSError:
        return b""


def _hang_up(one: socket.socket) -> None:
    with suppress(OSError):  # the other side was faster
        one.shutdown(socket.SHUT_RDWR)
