"""Run on the server host: a web server that refuses HEAD and sends every file in chunks. Usage: odd_http.py ADDRESS PORT FILE"""

from __future__ import annotations

import http.server
import sys
from pathlib import Path


class Odd(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        content = Path(sys.argv[3]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/efi")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(content), 8192):
            piece = content[at : at + 8192]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


if __name__ == "__main__":
    http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Odd).serve_forever()
