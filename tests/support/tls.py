"""Speaks TLS on a port of its own and passes what it decrypts to a plain port on loopback."""

import argparse
import select
import socket
import ssl
import threading

parser = argparse.ArgumentParser()
parser.add_argument("behind", type=int)
parser.add_argument("certificate")
parser.add_argument("key")
parser.add_argument("--version", choices=["1.2", "1.3"])
parser.add_argument("--client-ca")
options = parser.parse_args()

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(options.certificate, options.key)
if options.version:
    version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[options.version]
    context.minimum_version = context.maximum_version = version
if options.client_ca:
    context.load_verify_locations(options.client_ca)
    context.verify_mode = ssl.CERT_REQUIRED


def relay(encrypted, plain):
    """Copies both ways until either side ends."""
    while True:
        ready = [encrypted] if encrypted.pending() else select.select([encrypted, plain], [], [])[0]
        for source, sink in ((encrypted, plain), (plain, encrypted)):
            if source in ready:
                data = source.recv(65536)
                if not data:
                    return
                sink.sendall(data)


def serve(raw):
    try:
        with context.wrap_socket(raw, server_side=True) as encrypted:
            with socket.create_connection(("127.0.0.1", options.behind)) as plain:
                relay(encrypted, plain)
                encrypted.settimeout(1)
                encrypted.unwrap()
    except OSError:
        pass  # the peer went away or was refused, which some tests want


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1])
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
