"""Servers on this machine: one for plain addresses, which can misbehave, and a hub with data sets."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class _Server:
    def __init__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

            do_HEAD = do_GET  # noqa: N815

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Files(_Server):
    """Serves bytes by path; each path has its own manners."""

    def __init__(self):
        self.files = {}
        self.etags = {}
        self.calls = []
        """Path and Range of every request."""
        self.cut_after = {}
        """Bytes after which the connection ends, for each of the next answers to a path."""
        self.statuses = {}
        """Status of each of the next answers to a path."""
        self.ranges = True
        self.wrong_range = False
        self.lie = 0
        """What is added to the length."""
        super().__init__()

    def answer(self, request):
        path, wanted = request.path.split("?")[0], request.headers.get("Range")
        self.calls.append((request.path, wanted))
        status = self.statuses.get(path) and self.statuses[path].pop(0)
        if status or path not in self.files:
            request.send_response(status or 404)
            request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = self.files[path]
        etag = self.etags.get(path, f'"{hashlib.md5(data).hexdigest()}"')
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.ranges else 0
        if start and request.headers.get("If-Range") != etag:
            start = 0
        if start >= len(data) > 0:
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            said = start - 1 if self.wrong_range else start
            request.send_header("Content-Range", f"bytes {said}-{len(data) - 1}/{len(data)}")
        if etag:
            request.send_header("ETag", etag)
        request.send_header("Content-Length", str(len(data) - start + self.lie))
        request.end_headers()
        body = data[start:]
        cuts = self.cut_after.get(path)
        if cuts:
            body = body[: cuts.pop(0)]
        request.wfile.write(body)
        if len(body) + start < len(data) or self.lie:
            request.close_connection = True


class Hub(_Server):
    """Data sets with their files at one commit, for the calls of the hub's library that read."""

    def __init__(self):
        self.sets = {}
        """Files of each data set: bytes by name."""
        self.closed = {}
        """Status and error code for a data set."""
        self.revisions = {"refs/convert/parquet", "main"}
        self.tokens = []
        self.calls = []
        super().__init__()

    def commit(self, name):
        return hashlib.sha1(repr(sorted(self.sets[name].items())).encode()).hexdigest()

    def answer(self, request):
        parts = urlsplit(request.path)
        self.calls.append((request.command, parts.path))
        self.tokens.append(request.headers.get("Authorization"))
        found = re.fullmatch(r"/api/datasets/([\w.-]+/[\w.-]+)/revision/(.+)", parts.path)
        if found:
            return self._info(request, found[1], unquote(found[2]))
        found = re.fullmatch(r"/api/datasets/([\w.-]+/[\w.-]+)/tree/([^/]+)", parts.path)
        if found:
            return self._tree(request, found[1], parse_qs(parts.query))
        found = re.fullmatch(r"/datasets/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", parts.path)
        if found:
            return self._file(request, found[1], unquote(found[3]))
        return self._send(request, 404, {"error": "no such page"})

    def _send(self, request, status, value, code=None, headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        request.send_response(status)
        for key, text in headers:
            request.send_header(key, text)
        if code:
            request.send_header("X-Error-Code", code)
            request.send_header("X-Error-Message", value["error"])
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)

    def _refused(self, request, name, revision=None):
        if name in self.closed:
            status, code, text = self.closed[name]
            self._send(request, status, {"error": text}, code)
        elif name not in self.sets:
            self._send(request, 404, {"error": "Repository not found"}, "RepoNotFound")
        elif revision is not None and revision not in {*self.revisions, self.commit(name)}:
            self._send(request, 404, {"error": f"Invalid rev id: {revision}"}, "RevisionNotFound")
        else:
            return False
        return True

    def _info(self, request, name, revision):
        if not self._refused(request, name, revision):
            self._send(request, 200, {"id": name, "sha": self.commit(name), "siblings": []})

    def _tree(self, request, name, query):
        if self._refused(request, name):
            return
        items = []
        for path, data in sorted(self.sets[name].items()):
            oid = hashlib.sha1(data).hexdigest()
            item = {"type": "file", "path": path, "size": len(data), "oid": oid}
            if path.endswith(".parquet"):
                item["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1}
            items.append(item)
        # Two on a page, as the hub gives a long listing page by page.
        start = int(query.get("cursor", ["0"])[0])
        headers = []
        if start + 2 < len(items):
            address = f"{self.address}{urlsplit(request.path).path}?recursive=true&cursor={start + 2}"
            headers = [("Link", f'<{address}>; rel="next"')]
        self._send(request, 200, items[start : start + 2], headers=headers)

    def _file(self, request, name, path):
        if self._refused(request, name):
            return
        if path not in self.sets[name]:
            self._send(request, 404, {"error": "Entry not found"}, "EntryNotFound")
            return
        data = self.sets[name][path]
        etag = hashlib.sha256(data).hexdigest()
        headers = [("X-Repo-Commit", self.commit(name)), ("ETag", f'"{etag}"'), ("Accept-Ranges", "bytes")]
        self._send(request, 200, data, headers=headers)
