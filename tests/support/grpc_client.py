"""A gRPC client that sends any bytes to any method; argument: host:port. Each line of input is
METHOD COMPRESSION TIMEOUT COUNT HEX; COUNT calls are made at once, and each is answered by a line
CODE ANSWER-HEX DETAILS-HEX MESSAGE. A field that has nothing is a dash."""
import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_retries", 0)])


def finish(call):
    try:
        return f"OK {call.result().hex() or '-'} - -"
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return f"{error.code().name} - {details.hex() or '-'} {error.details()}"


for line in sys.stdin:
    method, compression, timeout, count, body = line.split()
    call = channel.unary_unary(method)
    codec = getattr(grpc.Compression, compression)
    message = b"" if body == "-" else bytes.fromhex(body)
    calls = [
        call.future(message, timeout=float(timeout), compression=codec, wait_for_ready=True)
        for _ in range(int(count))
    ]
    for call in calls:
        print(finish(call), flush=True)
