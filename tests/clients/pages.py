"""The pages that the tests browse, on loopback: plain, and with a certificate that nobody has signed.

Usage: pages.py CERTIFICATE KEY. Prints its addresses as NAME=value lines when it serves, and runs until it is ended.
"""

import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# A page that holds its client back: longer than a session may take to end.
SLOW_SECONDS = 5

PAGES = {
    "/": "<title>Wharf test page</title><h1>Hello</h1>",
    "/scripted": "<title>Before</title><script>document.title = 'Set by a script'</script>",
    "/slow": "<title>Slow</title>",
    "/private": "<title>Private</title>",
    # Ways of a page to another host: by itself, by a click, in a frame.
    "/leaves": "<script>location = `http://localhost:${location.port}/`</script>",
    "/links": "<a target=_blank href='http://localhost/' onclick='this.port = location.port'>away</a>",
    "/frames": "<iframe></iframe><script>frames[0].location = `http://localhost:${location.port}/`</script>",
    # Busy half of the time, so that clients still get their answers.
    "/busy": """<title>Busy</title><script>
        setInterval(() => { const end = performance.now() + 50; while (performance.now() < end); }, 100);
    </script>""",
}


class Page(BaseHTTPRequestHandler):
    """Answers GET with a page."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/redirect":
            return self.redirect()
        page = PAGES.get(self.path)
        # "me" and "secret".
        if self.path == "/private" and self.headers["authorization"] != "Basic bWU6c2VjcmV0":
            return self.ask_for_credentials()
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)
        body = (page or "<title>Not found</title>").encode()
        self.send_response(404 if page is None else 200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def ask_for_credentials(self) -> None:
        self.send_response(401)
        self.send_header("www-authenticate", 'Basic realm="private"')
        self.send_header("content-length", "0")
        self.end_headers()

    def redirect(self) -> None:
        """To the other name of this host."""
        self.send_response(302)
        self.send_header("location", f"http://localhost:{self.server.server_port}/")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A browser's requests are no news."""


class Server(ThreadingHTTPServer):
    """Lets go of clients without a word: tests make browsers leave in the middle of an answer."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)


def main(certificate: str, key: str) -> None:
    plain, secure = Server(("127.0.0.1", 0), Page), Server(("127.0.0.1", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # Each handshake in its connection's own thread, or one silent client would hold up all others.
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    print(f"PAGES_URL=http://127.0.0.1:{plain.server_port}")
    print(f"SECURE_PAGES_URL=https://127.0.0.1:{secure.server_port}", flush=True)
    plain.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
