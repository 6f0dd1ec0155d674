"""WebSockets by the library `websockets`.

`websocket_peer.py serve` prints its port and echoes until its standard input ends. `websocket_peer.py call PORT` talks to it
through a gateway and prints what came.
"""
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
else:
    uri = f"ws://127.0.0.1:{sys.argv[2]}/chat"
    with connect(uri, subprotocols=["chat"], max_size=None) as connection:
        print(connection.subprotocol)
        for message in ["hello", "", b"\x00\xff", "x" * 3_000_000]:
            connection.send(message)
            print(connection.recv(timeout=20) == message)
        print(connection.ping().wait(timeout=20))
    print(connection.protocol.close_code)
