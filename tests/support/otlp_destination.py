"""An OTLP destination over HTTP and gRPC; says both ports. GET /lines shows what it took, /calls one
line for each request with signal, items and status; /set?KEY=VALUE… makes it misbehave:

status=503 | code=14   the next `times` (1) requests end so, with wait_s= to wait
poison=TEXT            400 or INVALID_ARGUMENT for requests with this in them
bytes_max=N            413 or RESOURCE_EXHAUSTED for more, unpacked
rejected=N             partial success
slow_body=1            the answer's head without its body, once
"""
import gzip
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from otlp_flat import lines, parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

PROTOBUF = "application/x-protobuf"
taken, calls, settings, lock = [], [], {}, threading.Lock()


def decide(signal, body):
    """The HTTP status and gRPC code for a body, and the response to a body that is taken."""
    with lock:
        request = parse(signal, body) if body else None
        found = list(lines(signal, request)) if request else []
        status, code = 200, 0
        if int(settings.get("times", 0)) > 0:
            settings["times"] = int(settings["times"]) - 1
            status, code = int(settings.get("status", 503)), int(settings.get("code", 14))
        elif "poison" in settings and any(settings["poison"] in line for line in found):
            status, code = 400, 3
        elif len(body) > int(settings.get("bytes_max", 1 << 30)):
            status, code = 413, 8
        else:
            taken.extend(found)
        calls.append(f"{signal} {len(found)} {status}")
        response = ExportTraceServiceResponse()
        if "rejected" in settings:
            response.partial_success.rejected_spans = int(settings["rejected"])
            response.partial_success.error_message = "no such span"
        return status, code, response.SerializeToString()


def status_proto(code):
    # As grpc's own servers say it of what is too large.
    words = "told to: received message larger than max" if code == 8 else "told to"
    status = status_pb2.Status(code=code, message=words)
    if "wait_s" in settings:
        info = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=int(settings["wait_s"])))
        status.details.add().Pack(info)
    return status


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, content_type="text/plain", headers=()):
        self.send_response(status)
        for name, value in (("Content-Type", content_type), *headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "POST" and settings.pop("slow_body", None):
            time.sleep(60)
        self.wfile.write(body)

    def do_GET(self):
        parts = urlsplit(self.path)
        with lock:
            if parts.path == "/set":
                settings.clear()
                settings.update(parse_qsl(parts.query))
                if "status" in settings or "code" in settings:
                    settings.setdefault("times", 1)
            shown = {"/lines": taken, "/calls": calls}.get(parts.path, [])
            self.answer(200, "".join(line + "\n" for line in shown).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == PROTOBUF
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status, code, response = decide(self.path.rsplit("/", 1)[1], body)
        if status == 200:
            return self.answer(200, response, PROTOBUF)
        headers = [("Retry-After", settings["wait_s"])] if "wait_s" in settings else []
        self.answer(status, status_proto(code).SerializeToString(), PROTOBUF, headers)


class Grpc(grpc.GenericRpcHandler):
    def service(self, details):
        signal = details.method.split(".")[3].replace("trace", "traces")

        def export(body, context):
            _, code, response = decide(signal, body)
            if code:
                context.abort_with_status(rpc_status.to_status(status_proto(code)))
            return response

        return grpc.unary_unary_rpc_method_handler(export)


http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
options = [("grpc.max_receive_message_length", 64 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Grpc()], options=options)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(http.server_address[1], port, flush=True)
http.serve_forever()
