"""A tiny stand-in for the model server: same environment, probes and way to drain, no model.

STANDIN_START_SECONDS delays readiness, STANDIN_CRASH makes it die at the start, STANDIN_SECONDS is the time that
one request takes.
"""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENV = os.environ
STATE = {"ready": False, "draining": False, "active": 0}
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/readyz":
            self.answer(200 if STATE["ready"] and not STATE["draining"] else 503, {})
        elif STATE["draining"]:
            self.answer(503, {"error": {"message": "draining"}})
        else:
            with LOCK:
                STATE["active"] += 1
            try:
                time.sleep(float(self.headers.get("x-seconds") or ENV.get("STANDIN_SECONDS", "0.002")))
                self.answer(
                    200, {"replica": ENV["LLMCTL_REPLICA"], "pid": os.getpid(), "mark": ENV.get("STANDIN_MARK")}
                )
            finally:
                with LOCK:
                    STATE["active"] -= 1

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def answer(self, status: int, body: dict) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        if STATE["draining"]:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def drain(server: Server) -> None:
    STATE["draining"] = True
    time.sleep(float(ENV["LLMCTL_DRAIN_DELAY"]))
    server.shutdown()
    deadline = time.monotonic() + float(ENV["LLMCTL_GRACE"])
    while STATE["active"] and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0)


def main() -> None:
    with os.fdopen(int(ENV["LLMCTL_MODEL_FD"]), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert f"sha256:{digest}" == ENV["LLMCTL_MODEL_DIGEST"]
    if ENV.get("STANDIN_CRASH"):
        sys.exit(f"cannot start: {ENV['STANDIN_CRASH']}")
    server = Server((ENV["LLMCTL_HOST"], int(ENV["LLMCTL_PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain, args=(server,)).start())
    threading.Timer(float(ENV.get("STANDIN_START_SECONDS", "0")), lambda: STATE.update(ready=True)).start()
    sys.stderr.write(
        json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime()), "message": "started"})
        + "\n"
    )
    server.serve_forever()


main()
