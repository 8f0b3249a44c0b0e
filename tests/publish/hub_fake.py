"""A model hub on this machine, for the calls that its library makes with small files; loopback only."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub:
    """Keeps repositories in memory, checks what is sent, and can be told to answer with a fault."""

    def __init__(self, token):
        self.token = token
        self.repositories = {}
        """Files of each repository, by name."""
        self.created = []
        """What was asked for when a repository was made."""
        self.calls = []
        """Method and path of every call."""
        self.faults = {}
        """Status and text for every path that holds a word."""
        self._large = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                body = self._body()
                hub.calls.append((self.command, self.path))
                status, reply = hub.reply(self.command, self.path, self.headers, body)
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                if isinstance(reply, dict) and "error" in reply:
                    self.send_header("X-Error-Message", reply["error"])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _body(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            do_GET = do_POST = do_PUT = answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, method, path, headers, body):
        path = path.split("?")[0]
        for word, fault in self.faults.items():
            if word in path:
                return fault
        stored = path.startswith("/large/")
        if not stored and headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"error": "Invalid credentials in Authorization header"}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            sent = json.loads(body)["content"]
            return 200, {"errors": [] if sent.startswith("---\n") else [{"message": "no head"}], "warnings": []}
        if found := re.fullmatch(r"/api/(?:models|datasets)/([\w.-]+/[\w.-]+)/preupload/main", path):
            return self._preupload(found[1], json.loads(body))
        if found := re.fullmatch(r"/(?:datasets/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        if stored and method == "PUT":
            if hashlib.sha256(body).hexdigest() != path.split("/")[-1]:
                return 400, {"error": "other bytes than announced"}
            self._large[path.split("/")[-1]] = body
            return 200, {}
        if path == "/verify":
            wanted = json.loads(body)
            return (200, {}) if len(self._large[wanted["oid"]]) == wanted["size"] else (400, {"error": "size"})
        if found := re.fullmatch(r"/api/(?:models|datasets)/([\w.-]+/[\w.-]+)/commit/main", path):
            return self._commit(found[1], [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"no {path} here"}

    def _create(self, wanted):
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.repositories:
            return 409, {"error": "You already created this model repo", "url": f"{self.address}/{name}"}
        self.created.append(wanted)
        self.repositories[name] = {}
        return 200, {"url": f"{self.address}/{name}"}

    def _preupload(self, name, wanted):
        if name not in self.repositories:
            return 404, {"error": "Repository not found"}
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["path"].endswith((".safetensors", ".parquet")) and self.large
                else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in wanted["files"]
        ]
        return 200, {"files": modes}

    large = True
    """Whether weights go the way of large files."""

    def _batch(self, wanted):
        objects = [
            {
                **thing,
                "actions": {
                    "upload": {"href": f"{self.address}/large/{thing['oid']}"},
                    "verify": {"href": f"{self.address}/verify"},
                },
            }
            for thing in wanted["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}

    def _commit(self, name, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.repositories[name][value["path"]] = self._large[value["oid"]]
        commit = "1" * 40
        return 200, {"commitUrl": f"{self.address}/{name}/commit/{commit}", "commitOid": commit}
