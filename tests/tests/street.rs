//! The simulator's street is the street that the gateway reads.

use gateway::config::Config;
use tests::street::{BoxFiles, Street};

#[test]
fn the_gateway_reads_a_street_as_the_simulator_means_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let street = Street::new("sim-01", 7, 40, 2)?;
    let files = BoxFiles {
        log_domain: "parkir.example.id".to_owned(),
        data_dir: "data".to_owned(),
        keys_dir: "keys".to_owned(),
        city_host: "localhost".to_owned(),
        city_port: 8883,
        sensor_port: 1883,
        cameras: None,
    };
    let path = folder.path().join("box.toml");
    std::fs::write(&path, street.box_toml(&files)?)?;
    let config = Config::load(&path)?;
    assert_eq!(config.site.zones, street.site.zones);
    assert_eq!(config.site.spaces, street.site.spaces);
    assert_eq!(config.site.sensors, street.site.sensors);
    assert_eq!(config.site.bindings, street.site.bindings);
    assert_eq!(config.site.tariffs, street.site.tariffs);
    assert!(config.site == street.site);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    Ok(())
}
