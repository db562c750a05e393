//! Asks one camera what it is and what it offers.
//!
//! The order matters: the time first, as it needs no login and the login needs it; then who the camera is, which shows
//! whether the login is right; then its services, profiles and streams. A question that fails is noted and the next
//! one is asked, unless nothing more is to be had: no connection, or a wrong login, which is never tried twice.

use std::time::Duration;

use url::Url;

use super::address::Reached;
use super::client::{Client, RequestError};
use super::device::{
    GET_CAPABILITIES, GET_INFORMATION, GET_SERVICES, GET_TIME, Services, parse_information, parse_services, parse_time,
};
use super::found::{CLOCK_OFFSET_MAX, Found, FoundProfile, Problem};
use super::login::LoginError;
use super::media::{MediaService, Profiles, choose, parse_profiles, parse_uri};
use crate::xml::Element;

/// Longest time for one camera. After it, what is known by then is the result.
const CAMERA_SECONDS_MAX: u64 = 60;

/// Asks the camera at `reached` and writes what it says into `found`.
pub async fn inspect(client: Client, reached: Reached, found: &mut Found) {
    let mut inspection = Inspection { client, reached, found };
    let limit = Duration::from_secs(CAMERA_SECONDS_MAX);
    let finished = tokio::time::timeout(limit, inspection.run()).await;
    match finished {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => found.problems.push(problem),
        Err(_) => found.problems.push(Problem::TooSlow(CAMERA_SECONDS_MAX)),
    }
}

struct Inspection<'a> {
    client: Client,
    reached: Reached,
    found: &'a mut Found,
}

impl Inspection<'_> {
    /// Fails with the problem that ends the inspection.
    async fn run(&mut self) -> Result<(), Problem> {
        self.time().await?;
        let device = self.reached.device_service().clone();
        let information = self
            .ask(&device, GET_INFORMATION, "device information", parse_information)
            .await;
        if let Some(information) = self.unless_final("asking what it is", information)? {
            self.found.information = information;
        }
        let services = self.services(&device).await?;
        self.reached.set_said(services.device);
        if let Some((service, url, profiles)) = self.profiles(services.media, services.media2).await? {
            self.take_profiles(profiles);
            self.streams(service, &url).await?;
        }
        Ok(())
    }

    async fn time(&mut self) -> Result<(), Problem> {
        let device = self.reached.device_service().clone();
        let before = self.client.now();
        let answer = self.ask(&device, GET_TIME, "time", parse_time).await;
        if matches!(answer, Err(RequestError::Login(LoginError::Refused))) {
            self.found.problems.push(Problem::ClockHidden);
        }
        let Some(camera) = self.unless_final("asking for its time", answer)? else {
            return Ok(());
        };
        // The camera read its clock somewhere between; the middle is the best guess.
        let took = self.client.now().duration_since(before) / 2;
        let offset = camera.time.duration_since(before).saturating_sub(took);
        self.client.set_clock_offset(offset);
        self.found.clock_offset = Some(offset);
        if camera.local {
            self.found.problems.push(Problem::ClockLocal);
        }
        if offset.abs() > CLOCK_OFFSET_MAX {
            self.found.problems.push(Problem::ClockOff(offset));
        }
        Ok(())
    }

    async fn services(&mut self, device: &Url) -> Result<Services, Problem> {
        let services = self.ask(device, GET_SERVICES, "services", parse_services).await;
        let usable = |services: &Services| services.media.is_some() || services.media2.is_some();
        match services {
            Ok(services) if usable(&services) => return Ok(services),
            Err(error) if error.is_final() => return Err(request("asking for its services", error)),
            _ => {}
        }
        let services = self.ask(device, GET_CAPABILITIES, "capabilities", parse_services).await;
        let services = self.unless_final("asking for its services", services)?;
        Ok(services.unwrap_or_default())
    }

    /// The profiles of Media2, or of Media when that gives none.
    async fn profiles(
        &mut self,
        media: Option<Url>,
        media2: Option<Url>,
    ) -> Result<Option<(MediaService, Url, Profiles)>, Problem> {
        let offered = [(MediaService::Media2, media2), (MediaService::Media, media)];
        for (service, said) in offered.into_iter().filter_map(|(service, url)| Some((service, url?))) {
            let corrected = self.reached.service(&said);
            self.note_host(corrected.wrong_host);
            let url = corrected.used;
            let profiles = self
                .ask(&url, &service.get_profiles(), "profiles", parse_profiles)
                .await;
            match self.unless_final("asking for its profiles", profiles)? {
                Some(profiles) if !profiles.profiles.is_empty() => return Ok(Some((service, url, profiles))),
                _ => {}
            }
        }
        self.found.problems.push(Problem::NoMain);
        Ok(None)
    }

    fn take_profiles(&mut self, profiles: Profiles) {
        let choice = choose(&profiles.profiles);
        let problems = &mut self.found.problems;
        if profiles.left_out > 0 {
            problems.push(Problem::ProfilesLeftOut(profiles.left_out));
        }
        if choice.sources > 1 {
            problems.push(Problem::SeveralSources(choice.sources));
        }
        if choice.main.is_none() {
            problems.push(Problem::NoMain);
        } else if choice.sub.is_none() {
            problems.push(Problem::NoSub);
        }
        let known = profiles.profiles.into_iter();
        self.found.profiles = known.map(|media| FoundProfile { media, stream: None }).collect();
        (self.found.main, self.found.sub) = (choice.main, choice.sub);
    }

    async fn streams(&mut self, service: MediaService, url: &Url) -> Result<(), Problem> {
        for index in 0..self.found.profiles.len() {
            let Some(token) = self
                .found
                .profiles
                .get(index)
                .map(|profile| profile.media.token.clone())
            else {
                continue;
            };
            let said = self
                .ask(url, &service.get_stream_uri(&token), "stream address", parse_uri)
                .await;
            let Some(said) = self.unless_final("asking for a stream", said)? else {
                continue;
            };
            let token = crate::xml::label(&token);
            let Some(corrected) = self.reached.stream(&said) else {
                self.found.problems.push(Problem::NoRtsp(token));
                continue;
            };
            self.note_host(corrected.wrong_host);
            if corrected.used.password_removed {
                self.found.problems.push(Problem::PasswordInPath(token));
            }
            if let Some(profile) = self.found.profiles.get_mut(index) {
                profile.stream = Some(corrected.used);
            }
        }
        Ok(())
    }

    async fn ask<T>(
        &mut self,
        url: &Url,
        body: &str,
        what: &'static str,
        parse: fn(&Element) -> Option<T>,
    ) -> Result<T, RequestError> {
        let root = self.client.call(url, body).await?;
        parse(&root).ok_or_else(|| RequestError::Incomplete {
            url: url.to_string(),
            what,
        })
    }

    /// Notes a failure and goes on, or ends the inspection with it.
    fn unless_final<T>(&mut self, doing: &'static str, answer: Result<T, RequestError>) -> Result<Option<T>, Problem> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_final() => Err(request(doing, error)),
            Err(error) => {
                self.found.problems.push(request(doing, error));
                Ok(None)
            }
        }
    }

    /// Notes a wrong host, once for each.
    fn note_host(&mut self, wrong: Option<String>) {
        let problems = &mut self.found.problems;
        let noted = |host: &String| {
            problems
                .iter()
                .any(|problem| matches!(problem, Problem::WrongHost { said, .. } if said == host))
        };
        if let Some(said) = wrong.filter(|host| !noted(host)) {
            let used = self.reached.host();
            problems.push(Problem::WrongHost { said, used });
        }
    }
}

fn request(doing: &'static str, error: RequestError) -> Problem {
    Problem::Request { doing, error }
}
