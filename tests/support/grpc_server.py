"""A gRPC server that says its port; with arguments CERTIFICATE KEY it speaks TLS. Its method /t/Echo
answers with the message; /t/Later is UNAVAILABLE with RetryInfo; /t/Slow never answers."""
import sys
import threading
from concurrent import futures

import grpc

# google.rpc.Status: code 14, message "later", RetryInfo of 7 s.
RETRY_INFO = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x07"
DETAILS = b"\x08\x0e\x12\x05later\x1a\x30" + RETRY_INFO


def echo(request, context):
    return request


def later(request, context):
    context.set_trailing_metadata((("grpc-status-details-bin", DETAILS),))
    context.abort(grpc.StatusCode.UNAVAILABLE, "sp\u00e4ter")


def slow(request, context):
    threading.Event().wait()


class Methods(grpc.GenericRpcHandler):
    def service(self, details):
        method = {"/t/Echo": echo, "/t/Later": later, "/t/Slow": slow}.get(details.method)
        return method and grpc.unary_unary_rpc_method_handler(method)


options = [("grpc.max_receive_message_length", 64 << 20)]
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Methods()], options=options)
if len(sys.argv) > 1:
    certificate, key = (open(path, "rb").read() for path in sys.argv[1:3])
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
