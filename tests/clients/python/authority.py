"""A certificate authority that nobody knows, and a page that it vouches for."""

import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator

TITLE = "A page with a certificate of a private authority"


class Page(BaseHTTPRequestHandler):
    """Answers GET with a page."""

    def do_GET(self) -> None:
        body = f"<title>{TITLE}</title>".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A browser's requests are no news."""


class Server(ThreadingHTTPServer):
    """Browsers that trust nobody break off, which is what is wanted of them."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """No news either."""


class Authority:
    """Makes its certificates in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self.certificate = self.folder / "authority.pem"
        self._openssl(
            f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN={name}",
            "-addext basicConstraints=critical,CA:TRUE -keyout authority.key -out authority.pem",
        )
        self._openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=127.0.0.1 -keyout server.key -out server.csr"
        )
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2",
            "-extfile names -out server.pem",
        )

    def server_context(self) -> ssl.SSLContext:
        """Of a server on loopback that the authority vouches for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return context

    @contextmanager
    def page(self) -> Iterator[str]:
        """Serves a page; gives its URL."""
        server = Server(("127.0.0.1", 0), Page)
        # Each handshake in its connection's own thread, or one silent client would hold up all others.
        server.socket = self.server_context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            server.server_close()

    def _openssl(self, *arguments: str) -> None:
        words = [word for argument in arguments for word in argument.split()]
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
