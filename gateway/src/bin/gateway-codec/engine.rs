//! One message through the script, in an engine that is made for it and thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway::sensors::script::{Answer, CPU_MAX, MEMORY_BYTES_MAX, Question, STACK_BYTES_MAX, Uplink};
use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Runtime};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What scripts that were written for other surroundings look for.
const SURROUNDINGS: &str = "
    var module = { exports: {} };
    var exports = module.exports;
    var console = { log() {}, info() {}, warn() {}, error() {}, debug() {} };
";
/// Finds the codec's function and calls it. Text goes in and comes out: nothing of the engine's values does.
const CALL: &str = r#"
(function (text) {
    let decode;
    if (typeof decodeUplink === "function") decode = decodeUplink;
    else if (typeof module.exports.decodeUplink === "function") decode = module.exports.decodeUplink;
    else return JSON.stringify({ missing: true });
    if (text === "") return "{}";
    const input = JSON.parse(text);
    input.recvTime = new Date(input.recvTime);
    const output = decode(input);
    return JSON.stringify({ output: output === undefined ? null : output });
})
"#;
/// Words of a script that are repeated in a message, bytes.
const WORDS_BYTES_MAX: usize = 300;

/// What the script makes of a question.
pub fn answer(script: &str, question: &Question) -> Answer {
    let is_late = Arc::new(AtomicBool::new(false));
    let answer = run(script, question, &is_late);
    match answer {
        Ok(data) => Answer::Data(data),
        Err(_) if is_late.load(Ordering::Relaxed) => Answer::Failed(format!(
            "is cut off after {} ms of processor time: it loops, or does too much",
            CPU_MAX.as_millis()
        )),
        Err(reason) => Answer::Failed(reason),
    }
}

fn run(script: &str, question: &Question, is_late: &Arc<AtomicBool>) -> Result<Value, String> {
    let engine = |error: rquickjs::Error| format!("the engine does not start: {error}");
    let runtime = Runtime::new().map_err(engine)?;
    let context = Context::full(&runtime).map_err(engine)?;
    // What the engine needs to begin with is not the script's.
    runtime.set_memory_limit(MEMORY_BYTES_MAX);
    runtime.set_max_stack_size(STACK_BYTES_MAX);
    let (end, late) = (cpu_time() + CPU_MAX, Arc::clone(is_late));
    runtime.set_interrupt_handler(Some(Box::new(move || {
        let is_over = cpu_time() >= end;
        late.fetch_or(is_over, Ordering::Relaxed);
        is_over
    })));
    let input = match question {
        Question::IsUsable => String::new(),
        Question::Decode(Uplink { port, bytes, received }) => {
            json!({ "bytes": bytes, "fPort": port, "recvTime": received, "variables": {} }).to_string()
        }
    };
    let text = context.with(|ctx| -> Result<String, String> {
        evaluate::<()>(&ctx, SURROUNDINGS)?;
        evaluate::<()>(&ctx, script)?;
        let call: Function = evaluate(&ctx, CALL)?;
        call.call((input,)).catch(&ctx).map_err(|error| words(&error))
    })?;
    let answer: Value = serde_json::from_str(&text).map_err(|error| format!("its answer is no JSON: {error}"))?;
    if answer.get("missing").is_some() {
        return Err("has no function decodeUplink: expected a codec by TS013".to_owned());
    }
    let Some(output) = answer.get("output") else {
        return Ok(Value::Null);
    };
    let errors = output
        .get("errors")
        .and_then(Value::as_array)
        .filter(|errors| !errors.is_empty());
    if let Some(errors) = errors {
        let errors: Vec<String> = errors
            .iter()
            .map(|error| bounded(error.as_str().unwrap_or("?")))
            .collect();
        return Err(format!("refuses the payload: {}", bounded(&errors.join("; "))));
    }
    match output.get("data") {
        Some(data @ Value::Object(_)) => Ok(data.clone()),
        _ => Err("gives no data: expected {data: {...}}, or {errors: [...]}".to_owned()),
    }
}

fn evaluate<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, text: &str) -> Result<V, String> {
    let mut options = EvalOptions::default();
    // Vendors' scripts assign to names that they never declared.
    options.strict = false;
    let value = ctx.eval_with_options(text, options);
    value.catch(ctx).map_err(|error| words(&error))
}

fn words(error: &CaughtError) -> String {
    let text = match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            let at = exception.stack().unwrap_or_default();
            let at = at.lines().next().unwrap_or_default().trim().to_owned();
            format!("{message} ({at})")
        }
        other => other.to_string(),
    };
    if text.contains("out of memory") {
        return format!("is cut off at {} MiB of memory", MEMORY_BYTES_MAX / 1024 / 1024);
    }
    format!("fails: {}", bounded(&text))
}

fn bounded(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match text.char_indices().nth(WORDS_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
