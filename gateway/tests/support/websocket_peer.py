"""WebSockets by the library `websockets`.

`websocket_peer.py serve` prints its port and echoes until its standard input ends. `websocket_peer.py call PORT` talks to it
through a gateway and prints what came. `websocket_peer.py hold PORT [ROOT]` opens one, over TLS if there is a root
certificate, and for each line of its standard input sends it and prints what comes back; at the end of the lines it closes.
"""
import socket
import ssl
import sys
import threading

from websockets.sync.client import connect
from websockets.sync.server import serve


def echo(connection):
    for message in connection:
        connection.send(message)


if sys.argv[1] == "serve":
    with serve(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=None) as server:
        print(server.socket.getsockname()[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
elif sys.argv[1] == "hold":
    context = ssl.create_default_context(cafile=sys.argv[3]) if len(sys.argv) > 3 else None
    uri = f"{'wss' if context else 'ws'}://web.example/chat"
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    with connect(uri, subprotocols=["chat"], sock=sock, ssl=context) as connection:
        for line in sys.stdin:
            connection.send(line.strip())
            print("got", connection.recv(timeout=20), flush=True)
    print("ended", connection.protocol.close_code, flush=True)
else:
    uri = f"ws://127.0.0.1:{sys.argv[2]}/chat"
    with connect(uri, subprotocols=["chat"], max_size=None) as connection:
        print(connection.subprotocol)
        for message in ["hello", "", b"\x00\xff", "x" * 3_000_000]:
            connection.send(message)
            print(connection.recv(timeout=20) == message)
        print(connection.ping().wait(timeout=20))
    print(connection.protocol.close_code)
