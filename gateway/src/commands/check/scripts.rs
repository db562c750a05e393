//! Whether the scripts that decode for sensors are any, and the program that runs them is there.

use std::collections::BTreeSet;

use super::machine::problem;
use crate::config::{Config, Problem};

/// What is wrong with scripts of profiles that the configuration's sensors have, each told once.
pub(super) fn check(config: &Config) -> anyhow::Result<Vec<Problem>> {
    let (mut known, mut problems) = (BTreeSet::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (number, sensor) in config.sensors.iter().enumerate() {
        let profile = sensor.profile;
        let Some(script) = profile.script().filter(|_| known.insert(&profile.name)) else {
            continue;
        };
        if let Err(error) = runtime.block_on(script.check()) {
            let hint = "correct the script, or install both programs of one build; until then all that its sensors say is set aside";
            let message = format!("profile \"{}\": {error}", profile.name);
            problems.push(problem(
                config,
                &format!("sensors[{number}].profile"),
                message,
                hint.to_owned(),
            ));
        }
    }
    Ok(problems)
}
