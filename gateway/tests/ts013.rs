//! Vendors' TS013 codecs by `gateway sensors decode`, in the program that runs them: what they may do, and what ends them.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A device that nobody built: a byte of state, a byte of battery.
const PROFILE: &str = r#"
model = "Made up"
vendor_document = "this file"
transport = "chirpstack"
script = "acme.js"
heartbeat_s = 3600
queued = true
on_change = true
errors = { missed = 0, invented = 0 }

[fields]
occupied = { at = "/parking/state", occupied = ["BUSY"], free = ["FREE"] }
battery_v = { at = "/battery" }
kind = { at = "/event", heartbeat = ["alive"] }
"#;

struct Site(TempDir);

impl Site {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("acme-1.toml"), PROFILE).unwrap();
        fs::write(folder.path().join("acme.js"), script).unwrap();
        Self(folder)
    }

    fn decode(&self, port: u8, payload: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["sensors", "decode", "--profile"])
            .arg(self.0.path().join("acme-1.toml"))
            .args(["--port", &port.to_string(), payload])
            .output()
            .unwrap()
    }

    fn decoded(&self, port: u8, payload: &str) -> Value {
        let output = self.decode(port, payload);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self) -> String {
        let output = self.decode(1, "01");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_device_without_a_codec_of_its_own_is_decoded_by_its_vendors_script() {
    let site = Site::new(
        r#"
        // As vendors write: names without declaration, a console, an export, a date.
        function decodeUplink(input) {
            state = (input.bytes[0] & 1) ? "BUSY" : "FREE";
            console.log(state);
            return { data: {
                parking: { state: state },
                battery: input.bytes[1] / 10,
                event: input.fPort === 2 ? "alive" : "change",
                day: input.recvTime instanceof Date && input.recvTime.getUTCFullYear() === 1970,
            }, warnings: ["low battery"] };
        }
        exports.decodeUplink = decodeUplink;
        "#,
    );
    let data = json!({"parking": {"state": "BUSY"}, "battery": 3.6, "event": "change", "day": true});
    assert_eq!(
        site.decoded(1, "0124"),
        json!({"kind": "status", "occupied": true, "battery_v": 3.6, "data": data})
    );
    let alive = site.decoded(2, "0024");
    assert_eq!(
        (&alive["kind"], &alive["occupied"]),
        (&json!("heartbeat"), &json!(false))
    );
}

#[test]
fn the_built_in_example_is_a_device_by_its_manual() {
    let run = |payload: &str| {
        let arguments = ["--profile", "dragino-ldds75", "--port", "2", payload];
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["sensors", "decode"]).args(arguments).output().unwrap()
    };
    let decode = |payload: &str| serde_json::from_slice::<Value>(&run(payload).stdout).unwrap();
    // 3,403 mV, 2,850 mm, 26.5 °C; then below zero; then too near; then without a probe.
    let far = decode("0d4b0b2200010901");
    assert_eq!(
        (&far["distance_mm"], &far["battery_v"], &far["temperature_c"]),
        (&json!(2850), &json!(3.403), &json!(26.5))
    );
    assert_eq!(decode("0d4b0b2200ff9c01")["temperature_c"], json!(-10.0));
    for (payload, told) in [
        ("0d4b001400010901", "nearer than it can measure"),
        ("0d4b000000010900", "no probe"),
    ] {
        let error = String::from_utf8(run(payload).stderr).unwrap();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_script_that_loops_or_grows_or_falls_is_cut_off_and_named() {
    for (script, told) in [
        (
            "function decodeUplink() { for (;;) {} }",
            "acme.js: is cut off after 500 ms of processor time",
        ),
        ("for (;;) {}", "acme.js: is cut off after 500 ms"),
        (
            "function decodeUplink() { try { for (;;) {} } catch (e) { for (;;) {} } }",
            "acme.js: is cut off after 500 ms",
        ),
        (
            "function decodeUplink() { return { data: { a: /^(a+)+$/.test('a'.repeat(40) + 'b') } }; }",
            "acme.js: is cut off after 500 ms",
        ),
        (
            "function decodeUplink() { const all = []; for (;;) all.push(new Uint8Array(100000)); }",
            "acme.js: is cut off at 16 MiB of memory",
        ),
        ("function decodeUplink() { let s = 'x'; for (;;) s += s; }", "acme.js:"),
        ("function decodeUplink() { return decodeUplink(); }", "acme.js: fails: "),
        (
            "function decodeUplink(input) { return input.nothing.there; }",
            "acme.js: fails: ",
        ),
        ("function decodeUplink( {", "acme.js: fails: "),
        // A search that the engine does not interrupt.
        (
            "function decodeUplink() { return { data: { at: 'x'.repeat(6e6).indexOf('x'.repeat(3e6) + 'y') } }; }",
            "acme.js: the program gateway-codec has not answered for 5 s",
        ),
        (
            "function Decode(fPort, bytes) { return {}; }",
            "acme.js: has no function decodeUplink",
        ),
        (
            "function decodeUplink() { return { errors: ['no such frame', 'at all'] }; }",
            "acme.js: refuses the payload: no such frame; at all",
        ),
        ("function decodeUplink() {}", "acme.js: gives no data"),
        (
            "function decodeUplink() { return { data: [1] }; }",
            "acme.js: gives no data",
        ),
        (
            "function decodeUplink() { return { data: { n: 10n } }; }",
            "acme.js: fails: ",
        ),
        (
            "function decodeUplink() { return { data: { text: 'x'.repeat(100000) } }; }",
            "acme.js: its answer is longer than 64 KiB",
        ),
        (
            "function decodeUplink() { return { data: { parking: { state: 'PERHAPS' } } }; }",
            "acme.js: /parking/state is \"PERHAPS\"; expected \"BUSY\", \"FREE\"",
        ),
    ] {
        let error = Site::new(script).refused();
        assert!(error.contains(told), "{script}: {error}");
    }
}

#[test]
fn a_script_has_no_way_out() {
    let script = "function decodeUplink() {
        const names = ['std', 'os', 'require', 'process', 'fetch', 'XMLHttpRequest', 'setTimeout', 'Worker', 'WebAssembly', 'load'];
        return { data: { parking: { state: 'FREE' }, found: names.filter((name) => name in globalThis) } };
    }";
    assert_eq!(Site::new(script).decoded(1, "00")["data"]["found"], json!([]));
    let imports = Site::new("function decodeUplink() { return import('/etc/passwd').then((m) => ({ data: m })); }");
    assert!(imports.refused().contains("gives no data"));
}

#[test]
fn a_script_is_found_beside_its_profile_and_nowhere_else_and_is_not_endless() {
    let site = Site::new("");
    fs::remove_file(site.0.path().join("acme.js")).unwrap();
    let error = site.refused();
    assert!(error.contains("key script: cannot read acme.js"), "{error}");
    fs::write(site.0.path().join("acme.js"), vec![b' '; 600_000]).unwrap();
    let error = site.refused();
    assert!(error.contains("is longer than 512 KiB"), "{error}");
}
