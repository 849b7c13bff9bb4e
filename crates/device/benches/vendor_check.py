"""The vendor's client asks one device what a ready-to-ship check asks; its processor time is printed.

    vendor_check.py drive DIR OS COLD WARM   serves and checks: seconds of processor time per device, with an
                                             interpreter for each of COLD devices, and in one for WARM devices
    vendor_check.py serve DIR                answers as a device does, on its address
    vendor_check.py cold DIR OS              one check
    vendor_check.py warm DIR OS ROUNDS       checks with a connection for each

DIR holds ca.pem, server.pem, answers.txt and mt3620an.json. Must run where 192.168.35.2 is an address of this machine.
"""

import os
import subprocess
import sys

ADDRESS = ("192.168.35.2", 443)


def serve(folder):
    import ssl
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from socketserver import TCPServer

    answers = {}
    with open(os.path.join(folder, "answers.txt"), encoding="utf-8") as lines:
        for line in lines:
            path, status, body = line.rstrip("\n").split("\t", 2)
            answers[path] = (int(status), body.encode())

    class Device(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer leaves as one piece, at once.
        wbufsize = 65536
        disable_nagle_algorithm = True

        def do_GET(self):
            status, body = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("REST-API-Version", "4.6.0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def server_bind(self):
            # Without looking for the address's name, which nobody answers here.
            TCPServer.server_bind(self)
            self.server_name, self.server_port = self.server_address

        def get_request(self):
            connection, peer = super().get_request()
            # The handshake is done by the connection's own thread, with its first read.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), peer

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"))
    server = Server(ADDRESS, Device)
    print("ready", flush=True)
    server.serve_forever()


def releases_of(folder):
    import json

    with open(os.path.join(folder, "mt3620an.json"), encoding="utf-8") as text:
        return json.load(text)["versions"]


def check(releases, wanted):
    from azuresphere_device_api import capabilities, image, manufacturing, wifi

    state = manufacturing.get_device_manufacturing_state()["manufacturingState"]
    assert state == "Module1Complete", state
    listed = capabilities.get_device_capabilities()["device_capabilities"]
    assert listed == [], listed
    components = image.get_images()["components"]
    held = {(part["uid"].lower(), part["images"][0]["uid"].lower()) for part in components if part["images"]}
    is_held = lambda part: (part["cid"].lower(), part["iid"].lower()) in held
    running = next(entry["name"] for entry in releases if all(map(is_held, entry["images"])))
    assert running == wanted, running
    customer = [part for part in components if part["image_type"] == 10]
    assert customer == [], customer
    networks = wifi.get_all_wifi_networks()["values"]
    assert networks == [], networks


def trust(folder):
    from azuresphere_device_api import utils

    utils._CERT_PATH = os.path.join(folder, "ca.pem")
    return utils


def warm(folder, wanted, rounds):
    import time

    utils = trust(folder)
    releases = releases_of(folder)
    check(releases, wanted)
    began = time.process_time()
    for _ in range(rounds):
        # Each device is another connection.
        session = getattr(utils, "__active_session")
        session.close()
        setattr(utils, "__active_session", None)
        check(releases, wanted)
    print((time.process_time() - began) / rounds)


def drive(folder, wanted, cold_rounds, warm_rounds):
    this = [sys.executable, os.path.abspath(__file__)]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    server = subprocess.Popen([*this, "serve", folder], stdout=subprocess.PIPE, env=environment)
    try:
        assert server.stdout.readline() == b"ready\n"
        used = 0.0
        # Once without counting: afterwards the packages are compiled and in memory.
        for nth in range(cold_rounds + 1):
            process = subprocess.Popen([*this, "cold", folder, wanted], env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            used += usage.ru_utime + usage.ru_stime if nth else 0.0
        warmed = subprocess.run([*this, "warm", folder, wanted, str(warm_rounds)], env=environment, check=True, capture_output=True, text=True)
        print(used / cold_rounds, warmed.stdout.strip())
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    verb, folder, *rest = sys.argv[1:]
    if verb == "drive":
        drive(folder, rest[0], int(rest[1]), int(rest[2]))
    elif verb == "serve":
        serve(folder)
    elif verb == "warm":
        warm(folder, rest[0], int(rest[1]))
    else:
        trust(folder)
        check(releases_of(folder), rest[0])
