"""The vendor's own client in a script's loop: asks devices for the version of their OS. Arguments: the certificate to pin, then
the addresses of devices."""

import sys

from azuresphere_device_api import device, devices, utils

utils._CERT_PATH = sys.argv[1]
for address in sys.argv[2:]:
    devices.set_active_device_ip_address(address)
    setattr(utils, "__active_session", None)
    print(address, device.get_device_os_version()["osversion"])
