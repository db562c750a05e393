// Uplinks of the Dragino LDDS75 by LoRa Alliance TS013. Facts: Dragino, LDDS75 user manual, section 2.3.
//
// Bytes 0 and 1: battery, mV, in the lower 14 bits. 2 and 3: distance, mm; 0 without a probe, less than 280
// (20 by newer firmware) when something is nearer than it can measure. 4: interrupt. 5 and 6: temperature of a DS18B20, tenths of a degree, signed. 7: whether the probe is there.

function decodeUplink(input) {
  const bytes = input.bytes;
  if (input.fPort !== 2) return { errors: ["port " + input.fPort + "; expected 2"] };
  if (bytes.length !== 8) return { errors: [bytes.length + " bytes; expected 8"] };
  const word = (at) => (bytes[at] << 8) | bytes[at + 1];
  const distance = word(2);
  if (bytes[7] !== 1 || distance === 0) return { errors: ["no probe"] };
  if (distance < 280) return { errors: ["something is nearer than it can measure"] };
  const tenths = word(5) > 0x7fff ? word(5) - 0x10000 : word(5);
  const data = {
    battery: word(0) & 0x3fff,
    distance: distance,
    interrupt: bytes[4] === 1,
    temperature: tenths === 0 ? null : tenths / 10,
  };
  return { data: data };
}
