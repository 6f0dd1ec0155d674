"""gRPC by grpcio, without generated code: messages are bytes.

`grpc_peer.py serve` prints its port and serves until its standard input ends. `grpc_peer.py call PORT` makes calls of all
kinds through a gateway and prints one line for each: what came, or how it failed. `grpc_peer.py hold PORT [ROOT]` opens a
stream, over TLS if there is a root certificate, and for each line of its standard input sends it there, then makes a call
beside it on the same channel if the line is not `alone`, and prints what came; at the end of the lines it ends the stream.
"""
import concurrent.futures
import queue
import sys

import grpc


class Echo:
    def unary(self, request, context):
        context.set_trailing_metadata((("x-sum", str(len(request))),))
        return request

    def server_stream(self, request, context):
        for at in range(int(request)):
            yield b"message %d" % at

    def client_stream(self, requests, context):
        return b"%d messages" % sum(1 for _ in requests)

    def both(self, requests, context):
        for request in requests:
            yield b"got " + request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100%")

    def half(self, request, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "the rest is lost")


def serve():
    echo = Echo()
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(echo.unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(echo.server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(echo.client_stream),
        "Both": grpc.stream_stream_rpc_method_handler(echo.both),
        "Fail": grpc.unary_unary_rpc_method_handler(echo.fail),
        "Half": grpc.unary_stream_rpc_method_handler(echo.half),
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()


def say(name, call):
    try:
        print(name, call(), flush=True)
    except grpc.RpcError as error:
        print(name, error.code().name, error.details(), flush=True)


def both(channel):
    """Each message goes only when the answer to the one before has come."""
    sent = []

    def requests():
        for at in range(3):
            while len(sent) < at:
                pass
            yield b"%d" % at

    for answer in channel.stream_stream("/test.Echo/Both")(requests(), timeout=20):
        sent.append(answer.decode())
    return ",".join(sent)


def unary(channel, message):
    answer, call = channel.unary_unary("/test.Echo/Unary").with_call(message, timeout=20)
    return answer == message, dict(call.trailing_metadata())["x-sum"]


def half(channel):
    came = []
    try:
        for answer in channel.unary_stream("/test.Echo/Half")(b"", timeout=20):
            came.append(answer.decode())
    except grpc.RpcError as error:
        came.append(error.code().name)
    return ",".join(came)


def call(port):
    with grpc.insecure_channel("127.0.0.1:" + port) as channel:
        say("unary", lambda: unary(channel, b"hello"))
        say("large", lambda: unary(channel, b"x" * 1_000_000))
        stream = channel.unary_stream("/test.Echo/ServerStream")
        say("server_stream", lambda: sum(1 for _ in stream(b"200", timeout=20)))
        stream = channel.stream_unary("/test.Echo/ClientStream")
        say("client_stream", lambda: stream((b"m" for _ in range(100)), timeout=20).decode())
        say("both", lambda: both(channel))
        say("fail", lambda: channel.unary_unary("/test.Echo/Fail")(b"", timeout=20))
        say("half", lambda: half(channel))
        say("unknown", lambda: channel.unary_unary("/test.Echo/Nothing")(b"", timeout=20))
        say("unrouted", lambda: channel.unary_unary("/other.Service/Method")(b"", timeout=20))
        say("denied", lambda: channel.unary_unary("/secret.Service/Method")(b"", timeout=20))


def hold(port, root):
    address = "127.0.0.1:" + port
    if root:
        with open(root, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        options = [("grpc.ssl_target_name_override", "web.example")]
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address)
    messages = queue.Queue()
    stream = channel.stream_stream("/test.Echo/Both")(iter(messages.get, None))
    for line in sys.stdin:
        line = line.strip()
        messages.put(line.encode())
        came = next(stream).decode()
        if line != "alone":
            came += " " + channel.unary_unary("/test.Echo/Unary")(b"beside", timeout=20).decode()
        print(came, flush=True)
    messages.put(None)
    print("ended", [message.decode() for message in stream], stream.code().name, flush=True)


if sys.argv[1] == "serve":
    serve()
elif sys.argv[1] == "hold":
    hold(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
else:
    call(sys.argv[2])
