"""A forward proxy that asks for a name and a password, and knows what went through it."""

import base64
import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Optional
from urllib.parse import urlsplit

USER, PASSWORD = "tenant", "hunter2"


class Upstream:
    """Serves on loopback until it is left. Speaks CONNECT and absolute-form requests, one request a connection."""

    def __init__(self, tls: Optional[ssl.SSLContext] = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tls = tls
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.targets: list[str] = []
        self.bytes = 0
        self._lock = threading.Lock()

    def __enter__(self) -> "Upstream":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: Optional[type[BaseException] | BaseException | TracebackType]) -> None:
        self.listener.close()

    def forget(self) -> None:
        with self._lock:
            self.targets, self.bytes = [], 0

    def rule(self, password: str = PASSWORD, **more: str) -> dict[str, str]:
        return {"type": "external", "server": self.url, "username": USER, "password": password, **more}

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError, ValueError), accepted:
            client = self.tls.wrap_socket(accepted, server_side=True) if self.tls else accepted
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := client.recv(65536)):
                    return
                head += data
            self._count(len(head))
            head, _, rest = head.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            expected = base64.b64encode(f"{USER}:{PASSWORD}".encode())
            if b"basic " + expected.lower() not in head.lower():
                return self._say(client, b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            with self._lock:
                self.targets.append(target)
            url = urlsplit(target if method != "CONNECT" else f"//{target}")
            try:
                world = socket.create_connection((url.hostname, url.port), timeout=10)
            except OSError:
                return self._say(client, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            with world:
                if method == "CONNECT":
                    self._say(client, b"HTTP/1.1 200 OK\r\n\r\n")
                    world.sendall(rest)
                else:
                    world.sendall(self._origin_form(head, url.path or "/") + rest)
                upward = threading.Thread(target=self._carry, args=(client, world, True), daemon=True)
                upward.start()
                self._carry(world, client, False)
                upward.join()

    @staticmethod
    def _origin_form(head: bytes, path: str) -> bytes:
        first, *lines = head.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith((b"proxy-", b"connection:"))]
        first = b" ".join([first.split(b" ")[0], path.encode(), b"HTTP/1.1"])
        return b"\r\n".join([first, *kept, b"connection: close", b"", b""])

    def _carry(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._count(len(data))
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _say(self, client: socket.socket, words: bytes) -> None:
        self._count(len(words))
        client.sendall(words)

    def _count(self, length: int) -> None:
        with self._lock:
            self.bytes += length
