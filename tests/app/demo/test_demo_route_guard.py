import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from irodori.app.demo.route_guard import MAX_BODY, RouteGuard
from irodori.app.demo.upload_store import UploadStore


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


def test_a_request_that_fails_is_one_line_in_the_log(client, capfd):
    assert client.post("/gradio_api/cancel", content=b"{").status_code >= 400
    assert capfd.readouterr().err == (
        "request failed: POST '/gradio_api/cancel': ValueError: no such event\n"
    )


def test_an_upload_without_room_is_refused(client, tmp_path):
    (tmp_path / "root" / "large").write_bytes(bytes(9 * MAX_BODY))
    assert client.post("/gradio_api/upload", content=bytes(2 * MAX_BODY)).status_code == 507
    assert client.post("/gradio_api/upload", content=bytes(MAX_BODY)).status_code == 200
