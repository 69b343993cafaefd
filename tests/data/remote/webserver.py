"""A web server on loopback that does what real ones do: break off, wait, refuse, change files."""

import http.server
import re
import threading
import time
from collections import deque
from contextlib import contextmanager


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (name → bytes).

    mishaps: what happens to the next answers, one each: "cut:N" breaks off after N bytes, "reset"
    closes without an answer, "slow:S" waits S seconds in the middle, a number is an HTTP status, ""
    is a good answer.
    requests: (method, name, range or ""). sent: bytes of bodies that were sent, by name; an answer
    is counted in the dict that stood here when it was asked for, however late it is sent.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.sent = {}, [], {}
        self.mishaps = deque()
        self.mishaps_of = None  # a name; others are answered well
        self.retry_after = "0"
        self.ranges, self.tags, self.lists = True, True, False
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.before = lambda name: None

    def handle_error(self, *_):
        """Clients go without a word."""

    def asked(self, name):
        return [wanted for _, file, wanted in self.requests if file == name]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        name = self.path.split("?")[0].lstrip("/")
        wanted = self.headers.get("Range", "")
        server.requests.append(("GET", name, wanted))
        self.sent = server.sent
        server.before(name)
        mishap = ""
        if server.mishaps and server.mishaps_of in (None, name):
            mishap = str(server.mishaps.popleft())
        if mishap == "reset":
            self.close_connection = True
            return
        if mishap.isdigit():
            self.answer(int(mishap), b"no", {"Retry-After": server.retry_after})
            return
        if name == "" and server.lists:
            links = "".join(f'<a href="{file}">{file}</a>' for file in server.files)
            self.answer(200, links.encode(), {"Content-Type": "text/html"})
            return
        content = server.files.get(name)
        if content is None:
            self.answer(404, b"no such file")
            return
        status, headers, start = 200, {}, 0
        tag = f'"{hash(content):x}"'
        if server.tags:
            headers["ETag"] = tag
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if match and server.ranges and self.headers.get("If-Range", tag) == tag:
            start, end = int(match[1]), min(int(match[2] or 1 << 60), len(content) - 1)
            if start >= len(content):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            status, content = 206, content[start : end + 1]
        self.answer(status, content, headers, name, mishap)

    def answer(self, status, content, headers=None, name="", mishap=""):
        kind, _, amount = mishap.partition(":")
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        middle = int(amount) if kind == "cut" else len(content) // 2
        for part in (content[:middle], content[middle:]):
            # Counted before, since who asked may go on as soon as it is sent.
            self.sent[name] = self.sent.get(name, 0) + len(part)
            try:
                self.wfile.write(part)
                self.wfile.flush()
            except OSError:  # who asked has gone
                self.close_connection = True
                return
            if kind == "cut":
                self.close_connection = True
                return
            if kind == "slow":
                time.sleep(float(amount))
                kind = ""

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
