//! Timetables of logins.

use super::*;

const DIGEST: &str = "Digest realm=\"cam\", qop=\"auth\", nonce=\"n1\", algorithm=MD5";
const STALE: &str = "Digest realm=\"cam\", qop=\"auth\", nonce=\"n2\", algorithm=MD5, stale=true";

fn login() -> Login {
    Login::new(Some(Credentials {
        user: "admin".into(),
        password: "right".into(),
    }))
}

fn judge(login: &mut Login, status: u16, challenges: &[&str], fault: Option<&str>) -> Verdict {
    let challenges: Vec<String> = challenges.iter().map(ToString::to_string).collect();
    let fault = fault.map(|reason| Fault {
        codes: vec!["Sender".into()],
        reason: reason.into(),
    });
    login.judge(Reply {
        status,
        challenges: &challenges,
        fault: fault.as_ref(),
    })
}

fn shown(login: &mut Login) -> String {
    match login.proof("/onvif/device_service", "").unwrap() {
        Proof::None => "none".to_owned(),
        Proof::Token(_) => "token".to_owned(),
        Proof::Digest(header) => header,
    }
}

#[test]
fn nothing_is_proven_to_a_camera_that_does_not_ask() {
    let mut login = login();
    assert_eq!(shown(&mut login), "none");
    assert_eq!(judge(&mut login, 200, &[], None), Verdict::Accept);
    assert_eq!(shown(&mut login), "none");
}

#[test]
fn a_refusal_without_a_challenge_is_met_with_a_token() {
    let mut login = login();
    assert_eq!(
        judge(&mut login, 400, &[], Some("Sender not authorized")),
        Verdict::Again
    );
    assert_eq!(shown(&mut login), "token");
    assert_eq!(judge(&mut login, 200, &[], None), Verdict::Accept);
}

#[test]
fn a_digest_challenge_is_preferred_and_answered() {
    let mut login = login();
    assert_eq!(
        judge(
            &mut login,
            401,
            &["Basic realm=\"cam\"", DIGEST],
            Some("not authorized")
        ),
        Verdict::Again
    );
    let header = shown(&mut login);
    assert!(
        header.starts_with("Digest ") && header.contains("nc=00000001"),
        "{header}"
    );
}

#[test]
fn a_password_that_was_refused_is_never_sent_again() {
    for challenges in [&[][..], &[DIGEST]] {
        let mut login = login();
        assert_eq!(judge(&mut login, 401, challenges, None), Verdict::Again);
        assert_eq!(
            judge(&mut login, 401, challenges, None),
            Verdict::Fail(LoginError::Refused)
        );
        assert_eq!(login.proof("/", "").unwrap_err(), LoginError::Refused);
    }
}

#[test]
fn a_nonce_that_ran_out_is_renewed_once_for_each_request() {
    let mut login = login();
    assert_eq!(judge(&mut login, 401, &[DIGEST], None), Verdict::Again);
    assert_eq!(judge(&mut login, 401, &[STALE], None), Verdict::Again);
    assert!(shown(&mut login).contains("n2"));
    assert_eq!(
        judge(&mut login, 401, &[STALE], None),
        Verdict::Fail(LoginError::Refused)
    );
}

#[test]
fn a_proven_password_is_proven_again_with_a_new_nonce() {
    let mut login = login();
    assert_eq!(judge(&mut login, 401, &[DIGEST], None), Verdict::Again);
    assert_eq!(judge(&mut login, 200, &[], None), Verdict::Accept);
    for _ in 0..3 {
        assert_eq!(judge(&mut login, 401, &[DIGEST], None), Verdict::Again);
        assert_eq!(judge(&mut login, 200, &[], None), Verdict::Accept);
    }
    assert_eq!(judge(&mut login, 401, &[DIGEST], None), Verdict::Again);
    assert_eq!(
        judge(&mut login, 401, &[DIGEST], None),
        Verdict::Fail(LoginError::NotAllowed)
    );
    // What this user may not do, it may not; other requests go on.
    assert!(shown(&mut login).starts_with("Digest "));
}

#[test]
fn basic_alone_is_refused_and_the_password_stays_here() {
    let mut login = login();
    let basic = LoginError::Unsupported("Basic".into());
    assert_eq!(
        judge(&mut login, 401, &["Basic realm=\"cam\""], None),
        Verdict::Fail(basic.clone())
    );
    assert_eq!(login.proof("/", "").unwrap_err(), basic);
}

#[test]
fn without_a_user_a_refusal_asks_for_one_and_a_lock_is_told() {
    let mut open = Login::new(None);
    assert_eq!(
        judge(&mut open, 401, &[DIGEST], None),
        Verdict::Fail(LoginError::Needed)
    );
    assert!(matches!(open.proof("/", ""), Ok(Proof::None)));
    let mut login = login();
    let locked = Verdict::Fail(LoginError::Locked("User is locked for 30 minutes".into()));
    assert_eq!(
        judge(&mut login, 400, &[], Some("User is locked for 30 minutes")),
        locked
    );
    assert!(login.proof("/", "").is_err());
}

#[test]
fn no_challenge_makes_the_login_panic() {
    bolero::check!()
        .with_type::<(u16, Vec<String>)>()
        .for_each(|(status, texts)| {
            let mut login = login();
            let odd = texts
                .iter()
                .map(|text| format!("Digest realm=\"{text}\", nonce=\"{text}\", {text}"));
            let challenges: Vec<String> = odd.chain(texts.iter().cloned()).collect();
            for status in [401, *status, 401, 401] {
                let reply = Reply {
                    status,
                    challenges: &challenges,
                    fault: None,
                };
                login.judge(reply);
                assert!(login.proof("/onvif/device_service", "").is_ok() || login.given_up.is_some());
            }
        });
}
