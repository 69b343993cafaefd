"""The calls of the Hugging Face hub that models are pushed and downloaded by, on loopback."""

import base64
import hashlib
import http.server
import json
import re
import threading
from contextlib import contextmanager


class Hub(http.server.ThreadingHTTPServer):
    """A hub whose repositories are `commits`: name → revision → file → content.

    stated: what it states as SHA-256 instead of the true one. down: it refuses all with 503.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.commits, self.objects = {}, {}
        self.stated, self.down = None, False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.resolve()

    def do_GET(self):
        self.resolve()

    def resolve(self):
        """Answer with a file of a revision, as stored with Git LFS."""
        hub = self.server
        _, user, name, _, revision, file = self.path.split("/")
        commits = hub.commits.get(f"{user}/{name}", {})
        if hub.down:
            return self.answer(503)
        if not commits:
            return self.answer(401, headers={"X-Error-Code": "RepoNotFound"})
        commit = list(commits)[-1] if revision == "main" else revision
        if commit not in commits:
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        content = commits[commit].get(file)
        if content is None:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            return self.answer(404, headers=headers)
        sha256 = hub.stated or hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": commit, "X-Linked-Etag": f'"{sha256}"', "ETag": '"lfs"'}
        return self.answer(200, content, {**headers, "X-Linked-Size": str(len(content))})

    def do_PUT(self):
        content = self.body()
        sha256 = hashlib.sha256(content).hexdigest()
        self.server.objects[sha256] = content
        self.answer(200 if self.path.endswith(sha256) else 400)

    def do_POST(self):
        hub, body = self.server, self.body()
        if hub.down:
            self.answer(503)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            status = 409 if name in hub.commits else 200
            hub.commits.setdefault(name, {})
            self.json({"url": f"{hub.url}/{name}"}, status)
        elif self.path == "/api/validate-yaml":
            self.json({"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.json({"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for each in objects:
                each["actions"] = {"upload": {"href": f"{hub.url}/lfs/{each['oid']}"}}
            self.json({"objects": objects})
        else:
            name = re.fullmatch("/api/models/(.+)/commit/main", self.path)[1]
            files = {}
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                if line["key"] == "lfsFile":
                    files[value["path"]] = hub.objects[value["oid"]]
            commit = hashlib.sha1(body).hexdigest()
            hub.commits[name][commit] = files
            url = f"{hub.url}/{name}/commit/{commit}"
            self.json({"success": True, "commitOid": commit, "commitUrl": url})

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def json(self, value, status=200):
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, status, content=b"", headers=()):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **dict(headers)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
