"""A stand-in for W&B's server: takes what `wandb sync` or an online run uploads, and keeps it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Uploaded:
    """What one run has uploaded: variables of its mutations, rows of history, names of files.

    A chunk of history has an offset: what is there from it on is overwritten, as W&B does.
    """

    def __init__(self) -> None:
        self.upserts: list[dict[str, Any]] = []
        self.history: dict[int, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.files: set[str] = set()

    def last(self, key: str) -> Any:
        """The variable of the last mutation that sets it."""
        return next((u[key] for u in reversed(self.upserts) if u.get(key) is not None), None)

    @property
    def config(self) -> dict[str, Any]:
        """The run's configuration, without W&B's own part."""
        values = json.loads(self.last("config"))
        return {key: value["value"] for key, value in values.items() if key != "_wandb"}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history, by its lines' numbers."""
        return [row for _, row in sorted(self.history.items())]


class Server(ThreadingHTTPServer):
    """Keeps `runs` by id; `errors` holds what it didn't understand."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, Uploaded] = {}
        self.errors: list[str] = []

    @property
    def url(self) -> str:
        """For WANDB_BASE_URL."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """GraphQL, the stream of history and summary, and uploads of files."""

    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_PUT(self) -> None:
        """A file: /upload/<run>/<name>."""
        self._body()
        _, _, run, name = self.path.split("/", 3)
        self.server.runs[run].files.add(name)
        self._answer({})

    def do_POST(self) -> None:
        """GraphQL, or a chunk of the stream: /files/<entity>/<project>/<run>/file_stream."""
        content = self._body()
        if self.path.startswith("/sdk/otel/"):
            self._answer({})  # W&B's figures of its own program
            return
        body = json.loads(content or b"{}")
        if self.path.endswith("/file_stream"):
            run = self.server.runs[self.path.split("/")[-2]]
            for name, chunk in body.get("files", {}).items():
                lines = [json.loads(line) for line in chunk["content"]] if "json" in name else []
                if name == "wandb-history.jsonl":
                    for number in [n for n in run.history if n >= chunk["offset"]]:
                        del run.history[number]
                    run.history |= dict(enumerate(lines, chunk["offset"]))
                elif name == "wandb-summary.json":
                    run.summary = lines[-1]
            if body.get("complete"):
                run.exit_code = body["exitcode"]
            self._answer({"limits": {}})
            return
        query, variables = body["query"], body.get("variables") or {}
        self._answer({"data": self._data(query, variables)})

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            run = self.server.runs.setdefault(variables["name"], Uploaded())
            run.upserts.append(variables)
            project = {"name": variables["project"], "entity": {"name": "someone"}}
            bucket = {
                "id": variables["name"],
                "name": variables["name"],
                "displayName": variables.get("displayName"),
                "config": None,
                "sweepName": variables.get("sweep"),
                "historyLineCount": len(run.history),
                "project": project,
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": len(run.upserts) == 1}}
        if "createRunFiles" in query:
            name = variables["run"]
            files = [
                {"name": file, "uploadUrl": f"{self.server.url}/upload/{name}/{file}"}
                for file in variables["files"]
            ]
            made = {"runID": name, "uploadHeaders": [], "files": files}
            return {"createRunFiles": made}
        if "RunResumeStatus" in query:
            return {"model": {"bucket": self._resumed(variables["name"])}}
        if "viewer" in query:
            viewer = {"id": "1", "entity": "someone", "username": "someone", "flags": "{}"}
            return {"viewer": {**viewer, "teams": {"edges": []}}}
        if "serverInfo" in query:
            return {
                "serverInfo": {"features": [], "cliVersionInfo": {}, "latestLocalVersionInfo": None}
            }
        if "coreWeaveOrganizationId" in query:
            return {"entity": None}
        self.server.errors.append(query)
        return {}

    def _resumed(self, name: str) -> dict[str, Any] | None:
        run = self.server.runs.get(name)
        if run is None:
            return None
        rows = run.rows
        return {
            "id": name,
            "name": name,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.last("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "config": run.last("config"),
            "tags": [],
            "wandbConfig": "{}",
        }


@contextmanager
def serving() -> Iterator[Server]:
    """A server for the time of the block."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
