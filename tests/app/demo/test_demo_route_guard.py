import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from irodori.app.demo.route_guard import MAX_BODY, RouteGuard
from irodori.app.demo.upload_store import AGE, UploadStore


@pytest.fixture
def client(tmp_path):
    async def answer(request):
        if request.url.path == "/gradio_api/cancel":
            raise ValueError("no\nsuch event")
        return PlainTextResponse(f"{request.url.path} {len(await request.body())}")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "HEAD"])])
    root = tmp_path / "root"
    root.mkdir()
    return TestClient(RouteGuard(app, UploadStore(root, 10 * MAX_BODY), upload=2 * MAX_BODY))


OPEN = f"""
    / /config /theme.css /assets/a/b.js /static/fonts/x.woff2 /gradio_api/info
    /gradio_api/queue/join /gradio_api/heartbeat/abc /gradio_api/call/colorize
    /hints/{"0a" * 20}/preview
"""
CLOSED = f"""
    /monitoring /gradio_api/runs /gradio_api/proxy=http://example.com/ /gradio_api/run/colorize
    /gradio_api/api/colorize /gradio_api/deep_link /gradio_api/vibe-edit/ /docs /login
    /gradio_api/process_recording /gradio_api/mcp/sse /gradio_api/stream/a/b/1/playlist.m3u8
    /gradio_api/custom_component/1/client/component/x /gradio_api/file/etc/passwd /hints/preview
    /hints/{"0a" * 20}/other /hints/{"0a" * 20}/preview/x /hints/{"0a" * 20}/../preview
    /hints/{"0a" * 21}/preview /hints/{"0A" * 20}/preview /hints/{"..%2f" * 8}/preview
"""


@pytest.mark.parametrize("path", OPEN.split())
def test_the_page_is_open(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "http" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", CLOSED.split())
def test_nothing_else_is(client, path):
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_only_visitors_files(client, tmp_path):
    root = tmp_path / "root"
    (root / "own.jpg").touch()
    (root / "link.jpg").symlink_to("/etc/passwd")
    (tmp_path / "root2").mkdir()
    fine = client.get(f"/gradio_api/file={root}/own.jpg")
    assert fine.status_code == 200
    assert fine.headers["cache-control"] == "no-store"
    for name in (
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        f"{root}/../../../../../../../../../etc/passwd",
        f"{root}/%2e%2e/%2e%2e/x",
        f"{root}/link.jpg",
        f"{root}2/x",
        "README.md",
        "./README.md",
        "http://example.com/",
        "file:///etc/passwd",
        "",
        "%00",
        "~/.ssh/id_rsa",
    ):
        # Some are other addresses by the time that they arrive.
        assert client.get(f"/gradio_api/file={name}").status_code in (403, 404), name


def test_lengths(client):
    assert client.post("/gradio_api/upload", content=bytes(2 * MAX_BODY)).status_code == 200
    assert client.post("/gradio_api/upload", content=bytes(2 * MAX_BODY + 1)).status_code == 413
    assert client.post("/gradio_api/queue/join", content=bytes(MAX_BODY)).status_code == 200
    for path in ("/gradio_api/queue/join", f"/hints/{'0a' * 20}/preview"):
        assert client.post(path, content=bytes(MAX_BODY + 1)).status_code == 413
    assert client.post("/gradio_api/upload", content=iter([b"a", b"b"])).status_code == 411
    # The length that is said isn't that of chunks.
    two = {"content-length": "5", "transfer-encoding": "chunked"}
    assert client.post("/gradio_api/queue/join", content=b"hello", headers=two).status_code == 411


def test_an_upload_that_stops_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("irodori.app.demo.route_guard.ABORTED", 0.05)
    store, sent = UploadStore(tmp_path, MAX_BODY), []

    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("whole")(scope, receive, send)

    async def visit(slow):
        parts = [{"type": "http.request", "body": b"x", "more_body": slow}]

        async def receive():
            return parts.pop() if parts else await asyncio.Event().wait()

        async def send(message):
            sent.append(message.get("status"))

        headers = [(b"content-length", str(MAX_BODY).encode())]
        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers}
        await asyncio.wait_for(RouteGuard(app, store, MAX_BODY)(scope, receive, send), 10)

    # In a thread, since the browser's tests leave an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, visit(slow=True)).result()
        assert sent[0] == 400
        thread.submit(asyncio.run, visit(slow=False)).result()  # there is room again
        assert sent[2] == 200


def test_an_open_page_is_known_by_its_heartbeat(tmp_path):
    store = UploadStore(tmp_path, MAX_BODY)
    photo = tmp_path / "1" / "a.jpg"
    photo.parent.mkdir()
    photo.touch()
    store.hold("anna", [photo])

    async def heartbeat(request):
        store.sweep(time.time() + 2 * AGE)
        return PlainTextResponse(str(photo.exists()))

    app = Starlette(routes=[Route("/{path:path}", heartbeat)])
    client = TestClient(RouteGuard(app, store, MAX_BODY))
    assert client.get("/gradio_api/heartbeat/anna").text == "True"
    assert client.get("/gradio_api/heartbeat/boris").text == "False"


def test_a_request_that_fails_is_one_line_in_the_log(client, capfd):
    assert client.post("/gradio_api/cancel", content=b"{").status_code >= 400
    assert capfd.readouterr().err == (
        "request failed: POST '/gradio_api/cancel': ValueError: no such event\n"
    )


def test_an_upload_without_room_is_refused(client, tmp_path):
    (tmp_path / "root" / "large").write_bytes(bytes(9 * MAX_BODY))
    assert client.post("/gradio_api/upload", content=bytes(2 * MAX_BODY)).status_code == 507
    assert client.post("/gradio_api/upload", content=bytes(MAX_BODY)).status_code == 200
