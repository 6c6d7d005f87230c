"""A web server that writes down what it is told; runs inside a container.

Usage: receive.py PORT. Prints `ready`, then the body of each POST as one line. A line `refuse` on
standard input makes it answer 503, any other 200; it ends when standard input does.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = [200]


class Receiver(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        """Write it down, if it is welcome."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        line = {"status": STATUS[0], "path": self.path, "body": json.loads(body)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        self.send_response(STATUS[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


server = ThreadingHTTPServer(("", int(sys.argv[1])), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
for order in sys.stdin:
    STATUS[0] = 503 if order.strip() == "refuse" else 200
