"""One end of a serial line on which somebody else's software speaks: the kernel's IP and TCP, OpenSSL, the vendor's
client. Standard input and output are the line; what there is to say goes to standard error. Must run as root of a
network namespace of its own.

    peer.py client DIR   asks the device at the other end as the vendor's package and curl do; DIR holds ca.pem,
                         application.imagepackage and component.txt
    peer.py developer DIR   the same with every function of the vendor's package, at a developer's board
    peer.py device DIR   answers as a device; DIR holds server.pem
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import threading
import time

import every_function

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
DEVICE = "192.168.35.2"

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000


def open_line(address):
    """Makes a network interface whose packets travel over standard input and output by SLIP (RFC 1055)."""
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"line0", IFF_TUN | IFF_NO_PI))
    for words in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "addr", "add", f"{address}/24", "dev", "line0"],
        ["ip", "link", "set", "line0", "mtu", "1500", "up"],
    ):
        subprocess.run(words, check=True)

    def to_line():
        while True:
            packet = os.read(tun, 65536)
            if packet[0] >> 4 != 4:
                continue
            packet = packet.replace(bytes([ESC]), bytes([ESC, ESC_ESC]))
            packet = packet.replace(bytes([END]), bytes([ESC, ESC_END]))
            rest = bytes([END]) + packet + bytes([END])
            while rest:
                rest = rest[os.write(1, rest) :]

    def from_line():
        packet, escaped = bytearray(), False
        while True:
            piece = os.read(0, 65536)
            if not piece:
                os._exit(3)
            for byte in piece:
                if byte == END:
                    if packet:
                        os.write(tun, bytes(packet))
                    packet.clear()
                elif escaped:
                    packet.append({ESC_END: END, ESC_ESC: ESC}[byte])
                elif byte != ESC:
                    packet.append(byte)
                escaped = byte == ESC

    for work in (to_line, from_line):
        threading.Thread(target=work, daemon=True).start()


def client(folder):
    from azuresphere_device_api import (
        app,
        capabilities,
        certificate,
        device,
        image,
        manufacturing,
        network,
        sideload,
        utils,
        wifi,
    )
    from azuresphere_device_api.exceptions import AzureSphereDeviceApiException

    ca = os.path.join(folder, "ca.pem")
    utils._CERT_PATH = ca
    package = os.path.join(folder, "application.imagepackage")
    with open(os.path.join(folder, "component.txt"), encoding="utf-8") as text:
        component = text.read().strip()

    def same(found, wanted):
        assert found == wanted, f"found {found!r}, wanted {wanted!r}"

    def refused(call, *rest):
        try:
            answer = call(*rest)
        except AzureSphereDeviceApiException as error:
            return str(error)
        raise AssertionError(f"{call.__name__} was not refused: {answer!r}")

    def until_it_answers():
        while True:
            try:
                return device.get_device_status()
            except AzureSphereDeviceApiException:
                setattr(utils, "__active_session", None)
                time.sleep(0.05)

    until_it_answers()
    # Who it is.
    same(device.get_device_rest_api_version(), {"REST-API-Version": "4.6.0"})
    security = device.get_device_security_state()
    same(security["securityState"], "SECURE")
    same(len(security["deviceIdentifier"]), 128)
    same(device.get_device_os_version(), {"osversion": "24.06"})
    same(manufacturing.get_device_manufacturing_state(), {"manufacturingState": "Module1Complete"})
    same(capabilities.get_device_capabilities(), {"device_capabilities": []})
    assert device.get_device_status()["uptime"] >= 0

    # Software comes, runs, goes.
    def resident():
        return {part["uid"].lower() for part in image.get_images()["components"]}

    before = resident()
    assert component not in before
    sideload.stage_image(package)
    sideload.install_images()
    same(resident() - before, {component})
    same(app.get_app_status(component), {"state": "running"})
    sideload.delete_image(component)
    same(resident(), before)
    same(app.get_app_status(component), {"state": "notPresent"})

    # Wi-Fi, certificates, proxy: stored, told, deleted.
    same(wifi.get_all_wifi_networks(), {"values": []})
    added = wifi.add_wifi_network("foreign", "psk", psk="not-a-secret", config_name="foreign", config_state="disabled")
    same(added["ssid"], "foreign")
    (stored,) = wifi.get_all_wifi_networks()["values"]
    same((stored["ssid"], stored["configState"], stored["securityState"]), ("foreign", "disabled", "psk"))
    assert "psk" not in stored
    wifi.remove_configured_wifi_network(stored["id"])
    same(wifi.get_all_wifi_networks(), {"values": []})
    assert {found["ssid"] for found in wifi.get_wifi_scan()["values"]}
    same(certificate.get_certificate_space(), {"AvailableSpace": "24514"})
    certificate.add_certificate("foreign", ca, "rootca")
    same(certificate.get_all_certificates(), {"identifiers": ["foreign"]})
    same(certificate.get_certificate("foreign")["id"], "foreign")
    assert int(certificate.get_certificate_space()["AvailableSpace"]) < 24514
    certificate.remove_certificate("foreign")
    same(certificate.get_all_certificates(), {"identifiers": []})
    network.configure_proxy(True, "proxy.example", 3128, [], "anonymous")
    same(network.get_network_proxy()["address"], "proxy.example")
    network.delete_network_proxy()
    same(network.get_network_proxy(), {})
    assert "azspheresvc" in {entry["interfaceName"] for entry in network.get_all_network_interfaces()["interfaces"]}
    assert network.get_network_firewall_ruleset()

    # What others' HTTP and TLS say to it.
    name = "device.devices.sphere.azure.local"
    curl = ["curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]
    curl += ["--cacert", ca, "--connect-to", f"{name}:443:{DEVICE}:443"]
    said = subprocess.run([*curl, "--write-out", " %{http_code}", f"https://{name}/osversion"], stdout=subprocess.PIPE)
    same((said.returncode, said.stdout), (0, b'{"osversion":"24.06"} 200'))
    said = subprocess.run([*curl, "--write-out", "%{http_code}", "--output", "/dev/null", f"https://{name}/nonsense"], stdout=subprocess.PIPE)
    same((said.returncode, said.stdout), (0, b"404"))

    # It comes back, and is locked for good.
    device.restart_device()
    setattr(utils, "__active_session", None)
    until_it_answers()
    same(manufacturing.set_device_manufacturing_state("DeviceComplete"), {})
    same(manufacturing.get_device_manufacturing_state(), {"manufacturingState": "DeviceComplete"})
    refused(manufacturing.set_device_manufacturing_state, "Module1Complete")
    refused(image.get_images)
    refused(sideload.stage_image, package)
    print("judged", file=sys.stderr)


def answer_as_a_device(folder):
    import json
    import ssl
    from http.server import BaseHTTPRequestHandler, HTTPServer

    identity = "5c" * 64
    staged = {}
    answers = {
        "/device/security_state": {"securityState": "SECURE", "deviceIdentifier": identity},
        "/osversion": {"osversion": "24.06"},
        "/status": {"uptime": 5},
        "/device/manufacturing_state": {"manufacturingState": "Module1Complete"},
        "/device/capabilities": {"device_capabilities": []},
        "/wifi/config/networks": {"values": []},
    }

    class Device(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("REST-API-Version", "4.6.0")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path in answers:
                self.answer(200, answers[self.path])
            else:
                self.answer(404, {"error": {"code": 7, "location": 1, "message": "unknown"}})

        def do_PUT(self):
            staged["bytes"] = self.rfile.read(int(self.headers["Content-Length"]))
            good = self.path == "/update/stage" and staged["bytes"] == bytes(n % 251 for n in range(300_000))
            self.answer(200 if good else 400, {})

        def log_message(self, form, *rest):
            print(form % rest, file=sys.stderr)

    class Server(HTTPServer):
        def server_bind(self):
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = self.server_address

    server = Server((DEVICE, 443), Device)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    # Nothing here may wait for ever.
    signal.alarm(120)
    role, folder = sys.argv[1:]
    if role == "client":
        open_line("192.168.35.1")
        client(folder)
    elif role == "developer":
        open_line("192.168.35.1")
        every_function.run(folder)
        print("judged", file=sys.stderr)
    else:
        open_line(DEVICE)
        answer_as_a_device(folder)
