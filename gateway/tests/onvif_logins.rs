//! The password is proven as each camera wants it, and never risked.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod onvif_camera;

use jiff::SignedDuration;
use gateway::cameras::discovery::{Credentials, Found, LoginError, Problem, RequestError};

use onvif_camera::{Auth, Settings, all_found, credentials, found, found_with, path};

/// What ended the questions to a camera.
fn login_error(found: &Found) -> &LoginError {
    match found.problems.last() {
        Some(Problem::Request {
            error: RequestError::Login(error),
            ..
        }) => error,
        _ => panic!("{:?}", found.problems),
    }
}

#[tokio::test]
async fn a_password_is_proven_by_token_or_digest_in_the_cameras_time() {
    let hours = SignedDuration::from_hours(-3);
    let kinds = (91..).zip([Auth::Token, Auth::Digest, Auth::DigestOnce]);
    let settings = kinds.map(|(last, auth)| Settings {
        auth,
        clock_offset: hours,
        ..Settings::sound(last)
    });
    let (_cameras, all) = all_found(settings.collect(), Some(credentials())).await;
    for found in all {
        assert_eq!(found.clock_offset, Some(hours));
        assert!(
            matches!(found.problems[..], [Problem::ClockOff(_)]),
            "{:?}",
            found.problems
        );
        assert_eq!(path(found.sub()), "/live/kecil?a=1&b=2");
    }
}

#[tokio::test]
async fn a_camera_that_wants_a_login_even_for_the_time_is_understood_when_its_clock_is_right() {
    let settings = Settings {
        auth: Auth::TokenAlways,
        ..Settings::sound(42)
    };
    let (_camera, found) = found(settings).await;
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert!(found.main().is_some());
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_then_never_again() {
    let kinds = (95..).zip([Auth::Token, Auth::TokenAlways, Auth::Digest, Auth::DigestOnce]);
    let settings = kinds.map(|(last, auth)| Settings {
        auth,
        ..Settings::sound(last)
    });
    let wrong = Credentials {
        user: onvif_camera::USER.into(),
        password: "salah".into(),
    };
    let (cameras, all) = all_found(settings.collect(), Some(wrong)).await;
    for (camera, found) in cameras.iter().zip(&all) {
        assert_eq!(*login_error(found), LoginError::Refused);
        assert_eq!(camera.proofs(), 1, "{:?}", camera.settings.auth);
        let hidden = found
            .problems
            .iter()
            .any(|problem| matches!(problem, Problem::ClockHidden));
        assert_eq!(hidden, camera.settings.auth == Auth::TokenAlways);
    }
}

#[tokio::test]
async fn without_a_user_the_camera_is_listed_with_what_is_missing() {
    let settings = Settings {
        auth: Auth::Digest,
        ..Settings::sound(44)
    };
    let (camera, found) = found_with(settings, None).await;
    assert_eq!(*login_error(&found), LoginError::Needed);
    assert_eq!(found.scopes.name.as_deref(), Some("Gerbang 44"));
    assert_eq!(camera.proofs(), 0);
}

#[tokio::test]
async fn a_camera_that_takes_only_plain_passwords_gets_none() {
    let settings = Settings {
        auth: Auth::Basic,
        ..Settings::sound(45)
    };
    let (camera, found) = found(settings).await;
    assert_eq!(*login_error(&found), LoginError::Unsupported("Basic".into()));
    assert_eq!(camera.proofs(), 0);
}
