#!/usr/bin/python3
"""Serve the two documents of a token issuer over HTTPS: ``issuer.py FOLDER CERTIFICATE KEY PORT``."""

import functools
import http.server
import ssl
import sys


def main() -> None:
    """Serve until told to end."""
    folder, certificate, key, port = sys.argv[1:]
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    server = http.server.ThreadingHTTPServer(("", int(port)), handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
