"""Runs the ONVIF side of ipycam (PyPI) on a loopback address, without its video side.

usage: ipycam_camera.py ADDRESS USER PASSWORD

ADDRESS is a loopback address. An empty USER means no login. Prints "ready HTTP_PORT UDP_PORT" once it listens, and
ends when its standard input does.

ipycam itself listens on every interface and announces itself by multicast; a test must not do that on somebody's
network. So its own classes are put behind sockets that are bound to ADDRESS. Its video side needs OpenCV, which
answers no ONVIF request, so stand-ins take the place of the two packages.
"""

import socket
import sys
import threading
import types
from unittest import mock

for package in ("cv2", "numpy"):
    sys.modules[package] = mock.MagicMock()

from ipycam.camera import ReusableThreadingTCPServer
from ipycam.config import CameraConfig
from ipycam.discovery import WSDiscoveryServer
from ipycam.http import IPCameraHTTPHandler
from ipycam.onvif import ONVIFService


class Discovery(WSDiscoveryServer):
    """Answers Probes, on a socket of the test's; joins no group and announces nothing."""

    def __init__(self, onvif, udp):
        # Past the parent, which would bind to every interface.
        super(WSDiscoveryServer, self).__init__(daemon=True)
        self.onvif, self.sock, self.running = onvif, udp, True
        self.sock.settimeout(1.0)

    def _send_announcement(self, action):
        pass


def main():
    address, user, password = sys.argv[1:4]
    if not address.startswith("127."):
        sys.exit(f"{address} is no loopback address")
    server = ReusableThreadingTCPServer((address, 0), IPCameraHTTPHandler)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, 0))
    port = server.server_address[1]
    config = CameraConfig(name="Gerbang Timur", local_ip=address, onvif_port=port, username=user, password=password)
    onvif = ONVIFService(config)
    IPCameraHTTPHandler.camera = types.SimpleNamespace(onvif=onvif, config=config)
    Discovery(onvif, udp).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", port, udp.getsockname()[1], flush=True)
    sys.stdin.read()


main()
