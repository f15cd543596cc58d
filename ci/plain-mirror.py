"""A way to Debian for guests that have none: hands on requests for
/debian/PATH to a mirror and keeps package files. For ci/plain.sh only.

usage: plain-mirror.py ADDRESS PORT MIRROR CACHE
"""

import pathlib
import shutil
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS, PORT, MIRROR, CACHE = sys.argv[1:5]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.removeprefix("/debian/")
        kept = pathlib.Path(CACHE) / path
        if ".." in path or path == self.path:
            self.send_error(404)
            return
        if kept.is_file():
            self.answer(kept.read_bytes())
            return
        try:
            with urllib.request.urlopen(f"{MIRROR.rstrip('/')}/{path}", timeout=120) as reply:
                body = reply.read()
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
            return
        except OSError as error:
            self.send_error(502, str(error))
            return
        # Lists change, packages do not.
        if path.startswith("pool/"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(f".{id(self)}")
            part.write_bytes(body)
            shutil.move(part, kept)
        self.answer(body)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer((ADDRESS, int(PORT)), Handler).serve_forever()
