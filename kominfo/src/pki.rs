//! The city's certificate authority: who may speak to its broker.
//!
//! Kinds of certificate, none of which can stand for another: those of the broker and of the listener for live view are
//! good for servers only, those of kominfo and of the boxes for clients only, and a client's common name is its user name at the broker. Nothing of a
//! box's request is taken over but its public key.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use parking::GatewayId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::clock;
use crate::files::{self, Access, FileError};

/// The user name of the city's receiving end at the broker.
pub const KOMINFO: &str = "kominfo";

/// Names of the files of a folder that [`init`] made.
const CA: (&str, &str) = ("ca.crt", "ca.key");
const BROKER: (&str, &str) = ("broker.crt", "broker.key");
const CLIENT: (&str, &str) = ("kominfo-client.crt", "kominfo-client.key");

const YEARS_AUTHORITY: i32 = 20;
/// A box hangs on a pole for years, and one whose certificate has run out is as good as dead.
const YEARS_MEMBER: i32 = 10;

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate could not be made, or read.
    #[error("{path}: {source}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// A name of a server is none.
    #[error("\"{0}\" is no DNS name")]
    Name(String),
    /// The request is of another box.
    #[error("{path}: the request is for \"{found}\", not for box \"{expected}\"")]
    CommonName {
        /// The request's file.
        path: PathBuf,
        /// The box it should be of.
        expected: String,
        /// The name found.
        found: String,
    },
    /// The box's name is the city's own at the broker.
    #[error("a box cannot be called \"{KOMINFO}\": that is the city's own user name at the broker")]
    Reserved,
}

/// Makes an authority in `folder`, a certificate for the broker at these names and addresses, and kominfo's own.
pub fn init(folder: &Path, dns: &[String], addresses: &[IpAddr]) -> Result<(), PkiError> {
    files::folder(folder)?;
    let failed = |name: &'static str| {
        let path = folder.join(name);
        move |source| PkiError::Certificate { path, source }
    };
    let key = KeyPair::generate().map_err(failed(CA.0))?;
    let mut authority = params("Parkir city authority", YEARS_AUTHORITY);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = authority.self_signed(&key).map_err(failed(CA.0))?;
    save(folder, CA, &certificate.pem(), &key)?;
    let issuer = Issuer::new(authority, key);

    issue(folder, BROKER, &server("broker", dns, addresses)?, &issuer)?;

    let mut client = params(KOMINFO, YEARS_MEMBER);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(folder, CLIENT, &client, &issuer)
}

/// Makes a certificate for an instance's listener for live view at these names and addresses, with the authority in
/// `folder`: files NAME.crt and NAME.key there.
pub fn live(folder: &Path, name: &str, dns: &[String], addresses: &[IpAddr]) -> Result<(), PkiError> {
    let issuer = authority(folder)?;
    let names = (format!("{name}.crt"), format!("{name}.key"));
    let params = server(name, dns, addresses)?;
    issue(folder, (names.0.as_str(), names.1.as_str()), &params, &issuer)
}

/// The authority in `folder`.
fn authority(folder: &Path) -> Result<Issuer<'static, KeyPair>, PkiError> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::Certificate { path, source }
    };
    let (certificate_path, key_path) = (folder.join(CA.0), folder.join(CA.1));
    let key = KeyPair::from_pem(&files::read_private(&key_path)?).map_err(of(&key_path))?;
    Issuer::from_ca_cert_pem(&files::read(&certificate_path)?, key).map_err(of(&certificate_path))
}

/// Signs the request of a box with the authority in `folder`; gives the certificate, PEM.
pub fn sign_box(folder: &Path, gateway: &GatewayId, request: &Path) -> Result<String, PkiError> {
    if gateway.as_str() == KOMINFO {
        return Err(PkiError::Reserved);
    }
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::Certificate { path, source }
    };
    let issuer = authority(folder)?;
    // Reading a request verifies that whoever made it has the private key.
    let mut signing = CertificateSigningRequestParams::from_pem(&files::read(request)?).map_err(of(request))?;
    let found = signing
        .params
        .distinguished_name
        .get(&DnType::CommonName)
        .map(plain)
        .unwrap_or_default();
    if found != gateway.as_str() {
        return Err(PkiError::CommonName {
            path: request.to_owned(),
            expected: gateway.to_string(),
            found,
        });
    }
    signing.params = params(gateway.as_str(), YEARS_MEMBER);
    signing.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(signing.signed_by(&issuer).map_err(of(request))?.pem())
}

fn params(common_name: &str, years: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Begins in the past for boxes whose clock has not been set since they were made.
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    let year = i32::from(parking::Timezone::Wib.civil(clock::now()).year());
    params.not_after = rcgen::date_time_ymd(year + years, 12, 31);
    params
}

fn server(common_name: &str, dns: &[String], addresses: &[IpAddr]) -> Result<CertificateParams, PkiError> {
    let mut server = params(common_name, YEARS_MEMBER);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in dns {
        let san = name.as_str().try_into().map_err(|_| PkiError::Name(name.clone()))?;
        server.subject_alt_names.push(SanType::DnsName(san));
    }
    let addresses = addresses.iter().copied().map(SanType::IpAddress);
    server.subject_alt_names.extend(addresses);
    Ok(server)
}

fn issue(
    folder: &Path,
    names: (&str, &str),
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(), PkiError> {
    let failed = |source| PkiError::Certificate {
        path: folder.join(names.0),
        source,
    };
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    save(folder, names, &certificate.pem(), &key)
}

fn save(folder: &Path, names: (&str, &str), certificate: &str, key: &KeyPair) -> Result<(), PkiError> {
    files::create(&folder.join(names.1), &key.serialize_pem(), Access::Private)?;
    Ok(files::create(&folder.join(names.0), certificate, Access::Public)?)
}

fn plain(value: &DnValue) -> String {
    match value {
        DnValue::Utf8String(text) => text.clone(),
        DnValue::PrintableString(text) => text.as_str().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(common_name: &str, ca: bool) -> String {
        let mut wanted = params(common_name, 1);
        if ca {
            wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        wanted
            .serialize_request(&KeyPair::generate().unwrap())
            .unwrap()
            .pem()
            .unwrap()
    }

    #[test]
    fn a_request_is_signed_only_for_the_box_it_names_and_grants_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        init(
            folder.path(),
            &["localhost".to_owned()],
            &["127.0.0.1".parse().unwrap()],
        )
        .unwrap();
        let path = folder.path().join("box.csr");
        std::fs::write(&path, request("sudirman-01", true)).unwrap();
        let sign = |id: &str| sign_box(folder.path(), &GatewayId::new(id).unwrap(), &path);
        let pem = sign("sudirman-01").unwrap();
        let certificate = Issuer::from_ca_cert_pem(&pem, KeyPair::generate().unwrap());
        assert!(certificate.is_ok_and(|issuer| issuer.key_usages() == [KeyUsagePurpose::DigitalSignature]));
        assert!(matches!(sign("sudirman-02"), Err(PkiError::CommonName { .. })));
        assert!(matches!(sign(KOMINFO), Err(PkiError::Reserved)));
        std::fs::write(&path, "no request").unwrap();
        assert!(matches!(sign("sudirman-01"), Err(PkiError::Certificate { .. })));
    }

    #[test]
    fn an_authority_is_not_made_over_another() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &[], &[]).unwrap();
        let before = std::fs::read(folder.path().join(CA.0)).unwrap();
        assert!(matches!(
            init(folder.path(), &[], &[]),
            Err(PkiError::File(FileError::Exists(_)))
        ));
        assert_eq!(std::fs::read(folder.path().join(CA.0)).unwrap(), before);
    }
}
