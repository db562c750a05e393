"""Runs a Modbus server by pymodbus (PyPI): devices 11 and 12, like DFRobot's URM12, on a serial line or over TCP.

usage: server.py serial PATH | server.py tcp PORT

Prints "ready" once it listens and "wrote DEVICE REGISTER VALUES" when a register is written. Takes commands on standard
input, a line each, and ends with it:

    set DEVICE REGISTER VALUE    the register holds this from now on
    late DEVICE MILLISECONDS     the device answers so much later
    garble NUMBER                so many answers go out with a wrong sum
"""

import asyncio
import functools
import sys

from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

DEVICES = (11, 12)
REGISTERS = 10

held = {}
late = {}
garbled = 0


async def accessed(device, function, start, address, count, current, written):
    if device in late:
        await asyncio.sleep(late[device])
    for register, value in held.get(device, {}).items():
        if start <= register < start + len(current):
            current[register - start] = value
    if written is not None:
        print("wrote", device, address, *written, flush=True)


def packet(sending, data):
    global garbled
    if sending and garbled:
        garbled -= 1
        return data[:-1] + bytes([data[-1] ^ 0xFF])
    return data


def device(number):
    registers = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
    return SimDevice(number, registers, action=functools.partial(accessed, number))


async def commands():
    global garbled
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        verb, *numbers = line.decode().split()
        numbers = [int(number) for number in numbers]
        if verb == "set":
            held.setdefault(numbers[0], {})[numbers[1]] = numbers[2]
        elif verb == "late":
            late[numbers[0]] = numbers[1] / 1000
        elif verb == "garble":
            garbled = numbers[0]


async def main():
    way, place = sys.argv[1:]
    devices = [device(number) for number in DEVICES]
    if way == "serial":
        server = ModbusSerialServer(devices, port=place, baudrate=19200, ignore_missing_devices=True, trace_packet=packet)
    else:
        server = ModbusTcpServer(devices, address=("127.0.0.1", int(place)), trace_packet=packet)
    await server.serve_forever(background=True)
    print("ready", flush=True)
    await commands()
    await server.shutdown()


asyncio.run(main())
