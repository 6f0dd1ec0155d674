"""Asks a gateway over TLS by Python's own ssl and tells what came: `tls_client.py PORT CA`, one line for each try."""
import socket
import ssl
import sys
import warnings

PORT, CA = int(sys.argv[1]), sys.argv[2]
REQUEST = b"GET /python HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n"


def context(version):
    made = ssl.create_default_context(cafile=CA)
    made.set_alpn_protocols(["http/1.1"])
    made.set_ciphers("DEFAULT@SECLEVEL=0")
    made.minimum_version = made.maximum_version = version
    return made


def ask(made, session=None):
    with socket.create_connection(("127.0.0.1", PORT), timeout=20) as plain:
        with made.wrap_socket(plain, server_hostname="web.example", session=session) as secure:
            secure.sendall(REQUEST)
            answer = b""
            while chunk := secure.recv(65536):
                answer += chunk
            status = answer.split(b"\r\n")[0].decode()
            how = "resumed" if secure.session_reused else "full"
            return secure.session, f"{secure.selected_alpn_protocol()} {status} {how}"


warnings.simplefilter("ignore", DeprecationWarning)
for name in ["TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"]:
    try:
        made = context(ssl.TLSVersion[name])
        session, first = ask(made)
        _, second = ask(made, session)
        print(name, first, "then", second)
    except ssl.SSLError as error:
        print(name, "refused", error.reason)
