"""The vendor's own package finds the attached devices at the bridge and drives one after another through every function it
has. Arguments: the folder with ca.pem, application.imagepackage and component.txt; the folder of every_function.py; how
many devices there must be."""

import os
import sys

folder, functions, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, functions)
# Its authors look there for the version of an SDK that knows several devices.
os.environ["AzureSphereDefaultSDKDir"] = os.path.join(folder, "sdk") + os.sep
os.makedirs(os.path.join(folder, "sdk"), exist_ok=True)
with open(os.path.join(folder, "sdk", "VERSION"), "w", encoding="utf-8") as text:
    text.write("23.05.2.0")

import every_function  # noqa: E402
from azuresphere_device_api import device, devices, utils  # noqa: E402

attached = devices.get_attached_devices()
assert len(attached) == wanted, attached
seen = set()
for one in attached:
    devices.set_active_device_ip_address(one["IpAddress"])
    setattr(utils, "__active_session", None)
    every_function.run(folder)
    seen.add(device.get_device_security_state()["deviceIdentifier"])
assert len(seen) == wanted, seen
print("judged", *(one["IpAddress"] for one in attached))
