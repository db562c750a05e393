//! One event of a camera: `EventNotificationAlert` of Hikvision's ISAPI, in XML or JSON.

use serde_json::Value;

use crate::xml::Element;

/// Longest alert, bytes.
const ALERT_BYTES_MAX: usize = 64 * 1024;
/// Most regions of one alert that are read.
const REGIONS_MAX: usize = 32;

/// What a camera says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What kind of event, as in `regionEntrance`.
    pub event: String,
    /// Whether it goes on; a camera that has nothing to say says of some event that it does not.
    pub is_active: bool,
    /// Which camera of a recorder, if it says so.
    pub channel: Option<u32>,
    /// Which regions of its picture, if it says so.
    pub regions: Vec<String>,
}

/// Why a text is no alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// No XML.
    #[error("no XML: {0}")]
    Xml(#[from] crate::xml::XmlError),
    /// No JSON.
    #[error("no JSON: {0}")]
    Json(String),
    /// It is something else.
    #[error("{0}; expected an EventNotificationAlert with eventType and eventState")]
    Other(String),
}

impl Alert {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, AlertError> {
        let bytes = bytes.trim_ascii();
        if bytes.first() == Some(&b'{') {
            Self::parse_json(bytes)
        } else {
            Self::parse_xml(bytes)
        }
    }

    fn parse_xml(bytes: &[u8]) -> Result<Self, AlertError> {
        let root = Element::parse(bytes, ALERT_BYTES_MAX)?;
        if root.name() != "EventNotificationAlert" {
            return Err(AlertError::Other(format!(
                "the document is of {}",
                crate::xml::label(root.name())
            )));
        }
        let regions = root
            .find_all("regionID")
            .into_iter()
            .map(|region| region.text().trim().to_owned());
        let number = |name| root.child_number::<u32>(name);
        let related = root.find("relationEvent").map(Element::text);
        Self::new(
            event_of(root.child_text("eventType"), related),
            root.child_text("eventState"),
            number("channelID").or_else(|| number("dynChannelID")),
            regions.take(REGIONS_MAX).collect(),
        )
    }

    fn parse_json(bytes: &[u8]) -> Result<Self, AlertError> {
        let root: Value = serde_json::from_slice(bytes).map_err(|error| AlertError::Json(error.to_string()))?;
        let alert = root.get("EventNotificationAlert").unwrap_or(&root);
        let text = |name| alert.get(name).and_then(Value::as_str);
        let channel = alert.get("channelID").and_then(|channel| match channel {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        });
        let mut regions = Vec::new();
        collect_regions(alert, &mut regions);
        let related = find_text(alert, "relationEvent");
        Self::new(
            event_of(text("eventType"), related),
            text("eventState"),
            channel,
            regions,
        )
    }

    fn new(
        event: Option<&str>,
        state: Option<&str>,
        channel: Option<u32>,
        regions: Vec<String>,
    ) -> Result<Self, AlertError> {
        let event = event.map(str::trim).filter(|event| !event.is_empty());
        let event = event.ok_or_else(|| AlertError::Other("there is no eventType".to_owned()))?;
        let is_active = match state.map(str::trim) {
            Some("active") => true,
            Some("inactive") => false,
            Some(other) => {
                let other = crate::xml::label(other);
                return Err(AlertError::Other(format!("eventState is \"{other}\"")));
            }
            None => return Err(AlertError::Other("there is no eventState".to_owned())),
        };
        Ok(Self {
            event: crate::xml::label(event),
            is_active,
            channel,
            regions,
        })
    }
}

/// Newer cameras repeat an event that goes on as `duration`, and name it inside.
fn event_of<'a>(event: Option<&'a str>, related: Option<&'a str>) -> Option<&'a str> {
    match (event.map(str::trim), related) {
        (Some("duration"), Some(related)) => Some(related),
        (event, _) => event,
    }
}

fn find_text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match value {
        Value::Object(members) => members
            .get(name)
            .and_then(Value::as_str)
            .or_else(|| members.values().find_map(|member| find_text(member, name))),
        Value::Array(elements) => elements.iter().find_map(|element| find_text(element, name)),
        _ => None,
    }
}

fn collect_regions(value: &Value, regions: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("regionID", Value::String(id)) if regions.len() < REGIONS_MAX => regions.push(id.clone()),
                    ("regionID", Value::Number(id)) if regions.len() < REGIONS_MAX => regions.push(id.to_string()),
                    _ => collect_regions(member, regions),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect_regions(element, regions)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENTRANCE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<EventNotificationAlert version="1.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>192.168.1.64</ipAddress><portNo>80</portNo><protocol>HTTP</protocol>
<channelID>2</channelID><dateTime>2026-01-05T06:00:00+07:00</dateTime><activePostCount>1</activePostCount>
<eventType>regionEntrance</eventType><eventState>active</eventState><eventDescription>regionEntrance alarm</eventDescription>
<DetectionRegionList><DetectionRegionEntry><regionID>3</regionID><sensitivityLevel>50</sensitivityLevel>
</DetectionRegionEntry></DetectionRegionList></EventNotificationAlert>"#;

    #[test]
    fn an_alert_is_read_from_xml_and_from_json() {
        let alert = Alert {
            event: "regionEntrance".to_owned(),
            is_active: true,
            channel: Some(2),
            regions: vec!["3".to_owned()],
        };
        assert_eq!(Alert::parse(ENTRANCE.as_bytes()).unwrap(), alert);
        let json = r#" {"channelID": "2", "eventType": "regionEntrance", "eventState": "active",
                        "DetectionRegionList": [{"regionID": 3}]} "#;
        assert_eq!(Alert::parse(json.as_bytes()).unwrap(), alert);
        let goes_on = "<EventNotificationAlert><channelID>1</channelID><eventType>duration</eventType><eventState>active</eventState>
            <DurationList><Duration><relationEvent>fielddetection</relationEvent></Duration></DurationList></EventNotificationAlert>";
        assert_eq!(Alert::parse(goes_on.as_bytes()).unwrap().event, "fielddetection");
        let heartbeat = "<EventNotificationAlert><eventType>videoloss</eventType><eventState>inactive</eventState></EventNotificationAlert>";
        let heartbeat = Alert::parse(heartbeat.as_bytes()).unwrap();
        assert_eq!((heartbeat.is_active, heartbeat.channel), (false, None));
    }

    #[test]
    fn what_is_no_alert_is_refused_and_said() {
        for (text, told) in [
            ("", "no XML"),
            ("{", "no JSON"),
            ("{}", "no eventType"),
            ("<html/>", "the document is of html"),
            (
                "<EventNotificationAlert><eventType>a</eventType></EventNotificationAlert>",
                "no eventState",
            ),
            (
                "<EventNotificationAlert><eventType>a</eventType><eventState>on</eventState></EventNotificationAlert>",
                "eventState is \"on\"",
            ),
        ] {
            let error = Alert::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_cut_and_no_noise_makes_it_fall_over(end in 0..ENTRANCE.len(), noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let _any = Alert::parse(&ENTRANCE.as_bytes()[..end]);
            let _any = Alert::parse(&[&ENTRANCE.as_bytes()[..end], &noise[..]].concat());
            let _any = Alert::parse(&noise);
        }
    }
}
