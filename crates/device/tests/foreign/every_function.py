"""Every function of the vendor's package, against a developer's board; what it must answer is what its authors' own
tests and documents say (`device-rest-api.md` 3). Called by peer.py."""

import os
import time

MODULES = ("app", "capabilities", "certificate", "device", "image", "manufacturing", "network", "sideload", "wifi")


def run(folder):
    import importlib

    from azuresphere_device_api import utils
    from azuresphere_device_api.exceptions import AzureSphereDeviceApiException

    utils._CERT_PATH = os.path.join(folder, "ca.pem")
    called, known = set(), set()

    def counted(name, function):
        def call(*rest, **named):
            called.add(name)
            return function(*rest, **named)

        return call

    class Module:
        def __init__(self, name):
            module = importlib.import_module(f"azuresphere_device_api.{name}")
            for function in module.__all__:
                known.add(f"{name}.{function}")
                setattr(self, function, counted(f"{name}.{function}", getattr(module, function)))

    app, capabilities, certificate, device, image, manufacturing, network, sideload, wifi = map(Module, MODULES)

    def same(found, wanted):
        assert found == wanted, f"found {found!r}, wanted {wanted!r}"

    def keys(found, wanted):
        same(list(found), wanted.split())

    def refused(call, *rest, **named):
        try:
            answer = call(*rest, **named)
        except AzureSphereDeviceApiException as error:
            return str(error)
        raise AssertionError(f"it was not refused: {answer!r}")

    def until_it_answers():
        while True:
            setattr(utils, "__active_session", None)
            try:
                return device.get_device_status()
            except AzureSphereDeviceApiException:
                time.sleep(0.05)

    package = os.path.join(folder, "application.imagepackage")
    with open(os.path.join(folder, "component.txt"), encoding="utf-8") as text:
        component = text.read().strip()
    nobody = "99999999-9999-9999-9999-999999999999"

    keys(until_it_answers(), "uptime")
    # Who it is.
    same(device.get_device_rest_api_version(), {"REST-API-Version": "4.6.0"})
    same(device.get_device_os_version(), {"osversion": "24.06"})
    keys(device.get_device_security_state(), "securityState deviceIdentifier deviceIdentityPublicKey")
    same(capabilities.get_device_capabilities(), {"device_capabilities": [11]})
    same(manufacturing.get_device_manufacturing_state(), {"manufacturingState": "Module1Complete"})
    refused(manufacturing.set_device_manufacturing_state, "Blank")
    same(manufacturing.set_device_manufacturing_state("Module1Complete"), {})

    # Applications.
    same(sideload.delete_image(component), {})
    same(sideload.stage_image(package), {})
    same(app.get_app_status(component), {"state": "notPresent"})
    same(sideload.install_images("Manual"), {})
    same(app.get_app_status(component), {"state": "stopped"})
    same(app.set_app_status(component, "start"), {"state": "running"})
    same(app.set_app_status(component, "start"), {"state": "running"})
    same(app.set_app_status(component, "startDebug"), {"state": "debugging", "gdbPort": 2345, "outPort": 2342})
    same(app.set_app_status(component, "stop"), {"state": "stopped"})
    same(app.get_app_quota(component), {"UsageKB": 0, "LimitKB": 8})
    refused(app.get_app_quota, nobody)
    refused(app.set_app_status, nobody, "start")
    same(list(app.get_memory_statistics())[0], "memoryStats")
    assert component in {part["uid"].lower() for part in image.get_images()["components"]}
    same(sideload.delete_image(component), {})

    # Certificates.
    same(certificate.get_certificate_space(), {"AvailableSpace": "24514"})
    same(certificate.get_all_certificates(), {"identifiers": []})
    same(certificate.add_certificate("TestRoot", os.path.join(folder, "ca.pem"), "rootca"), {})
    keys(certificate.get_certificate("TestRoot"), "id notBefore notAfter subjectName issuerName")
    assert certificate.get_certificate_space()["AvailableSpace"] < "24514"
    refused(certificate.get_certificate, "nobody")
    refused(certificate.add_certificate, "spaces are bad", os.path.join(folder, "ca.pem"), "rootca")
    same(certificate.remove_certificate("TestRoot"), {})
    refused(certificate.remove_certificate, "TestRoot")

    # Networks.
    keys(network.get_network_status(), "deviceAuthenticationIsReady networkTimeSync proxy")
    same(
        network.get_network_interface("azspheresvc"),
        {
            "interfaceName": "azspheresvc",
            "interfaceUp": True,
            "connectedToNetwork": False,
            "ipAcquired": False,
            "connectedToInternet": False,
            "ipAddresses": ["192.168.35.2"],
        },
    )
    refused(network.get_network_interface, "nobody0")
    names = [entry["interfaceName"] for entry in network.get_all_network_interfaces()["interfaces"]]
    assert {"lo", "wlan0", "azspheresvc"} <= set(names), names
    hooks = [ruleset["hook"] for ruleset in network.get_network_firewall_ruleset()["rulesets"]]
    assert "INPUT" in hooks, hooks
    same(network.get_network_proxy(), {})
    same(network.delete_network_proxy(), {})
    keys(
        network.configure_proxy(True, "example.com", 8081, [], "basic", "example", "not-a-secret"),
        "address enabled port authenticationType username password noProxyAddresses",
    )
    assert "password" not in network.get_network_proxy()
    same(network.delete_network_proxy(), {})
    same(network.get_all_failed_network_connections(), {"values": []})
    refused(network.get_failed_network_connection, "7")

    # Wi-Fi.
    same(wifi.get_all_wifi_networks(), {"values": []})
    assert wifi.get_wifi_scan()["values"]
    added = wifi.add_wifi_network("one", "psk", psk="not-a-secret", config_name="name", config_state="disabled")
    same((added["id"], added["connectionState"]), (0, "unknown"))
    found = wifi.get_configured_wifi_network(0)
    keys(found, "ssid configState connectionState id securityState targetedScan configName")
    same(found["connectionState"], "disconnected")
    same(wifi.add_wifi_network("two", "open", config_name="name", config_state="disabled")["id"], 1)
    eap = wifi.add_wifi_network("three", "eaptls", config_name="own", config_state="disabled", client_cert_store_identifier="nobody")
    same(eap["securityState"], "eaptls")
    same(wifi.change_wifi_network_config(0, "enabled", "not-a-secret")["configState"], "enabled")
    refused(wifi.change_wifi_network_config, 9, "enabled", "short")
    refused(wifi.change_wifi_network_config, 9, "enabled", "not-a-secret")
    refused(wifi.get_configured_wifi_network, 9)
    refused(wifi.add_wifi_network, "one", "psk", psk="not-a-secret", config_state="disabled")
    refused(wifi.add_wifi_network, "x" * 33, "open", config_state="disabled")
    same(wifi.change_wifi_interface_state(True), {})
    for wanted in (True, False):
        same(wifi.change_wifi_interface_state(False, wanted), {})
        same(wifi.get_wifi_interface_state()["powerSavingsState"], "enabled" if wanted else "disabled")
    same(network.set_network_interfaces("wlan0", False), {})
    refused(wifi.get_wifi_scan)
    refused(wifi.get_all_wifi_networks)
    same(wifi.get_wifi_interface_state()["wpa_state"], "INTERFACE_DISABLED")
    same(network.set_network_interfaces("wlan0", True), {})
    for number in (0, 1, eap["id"]):
        same(wifi.remove_configured_wifi_network(number), {})
    refused(wifi.remove_configured_wifi_network, 0)

    # What it keeps about itself.
    log = device.get_diagnostic_log()
    assert isinstance(log, bytes) or log == {}, log
    device.get_error_report_data()
    same(device.clear_error_report_data(), {})
    same(device.restart_device(), {"restartingSystem": True})
    until_it_answers()

    left = known - called
    assert not left, f"never called: {sorted(left)}"
