"""TCP ports of 127.0.0.1: whether one is free, and which.

The functions only look. The program that gets a port binds it a moment later.
"""

import socket

__all__ = ["LOOPBACK", "free_port", "is_free"]

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether no program listens on a port, neither on 127.0.0.1 nor on every interface.

    Parameters
    ----------
    port : int
        1 to 65535.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
        caller.settimeout(1.0)  # second; a listener on this machine answers in microseconds
        if caller.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # Otherwise the closed connections of a stack that has just stopped block its port for a minute.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:  # taken, or below 1024 without the right to bind it
            return False
    return True


def free_port() -> int:
    """Return a port that is free now, chosen by the operating system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((LOOPBACK, 0))
        port: int = server.getsockname()[1]
    return port
