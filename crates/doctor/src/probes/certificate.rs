//! Certificates in files, and what the running server shows.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::ask::{Question, ask};
use super::server::own_address;
use super::tls::Trust;
use crate::checks::certificate::{CertificateFacts, Found, KeyTrouble, Mode, Read};
use crate::checks::public_name::Distrust;
use crate::subject::{CertificateFiles, Https, Subject};

/// No chain is so long.
const FILE_BYTES: u64 = 1 << 20;

/// Looks.
pub(crate) fn probe(subject: &Subject, server_runs: bool, trust: &Trust) -> CertificateFacts {
    let (mode, files) = match &subject.https {
        Https::Off => (Mode::Off, Vec::new()),
        Https::Files(files) => (Mode::Files, vec![files]),
        Https::Acme { certificate, authority, .. } => (Mode::Acme(authority.clone()), vec![certificate]),
        Https::Own(files) => (Mode::Own, vec![files]),
    };
    let public = subject.public.iter().filter(|public| public.is_https);
    let hosts: Vec<String> = public.map(|public| public.host.clone()).collect();
    let found: Vec<Found> = files
        .into_iter()
        .map(|files| Found {
            path: files.certificate.clone(),
            key_path: files.key.clone(),
            read: read(files, subject, server_runs, &hosts, trust),
        })
        .collect();
    CertificateFacts { now: SystemTime::now(), mode, found, hosts, refusal: refusal(&subject.https) }
}

/// Why an authority gave none at the last try.
fn refusal(https: &Https) -> Option<String> {
    let Https::Acme { tries, .. } = https else { return None };
    let tries: serde_json::Value = serde_json::from_slice(&fs::read(tries).ok()?).ok()?;
    Some(tries["why"].as_str()?.to_owned())
}

fn read(
    files: &CertificateFiles,
    subject: &Subject,
    server_runs: bool,
    hosts: &[String],
    trust: &Trust,
) -> Option<Result<Read, String>> {
    if !files.certificate.try_exists().unwrap_or(true) {
        return None;
    }
    let of_file = |path: &std::path::Path| -> Result<(Vec<u8>, u32), String> {
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        if metadata.len() > FILE_BYTES {
            return Err("it is too large for a certificate or a key".to_owned());
        }
        fs::read(path).map(|bytes| (bytes, metadata.st_mode())).map_err(|error| error.to_string())
    };
    let looked = || -> Result<Read, String> {
        let (pem, _) = of_file(&files.certificate)?;
        let says = (files.read)(&pem)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| error.to_string())?;
        let (own, between) = chain.split_first().ok_or("it holds no certificate")?;
        let (key, key_mode) = match of_file(&files.key) {
            Ok((pem, mode)) => (PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string()), mode),
            Err(why) => (Err(why), 0),
        };
        let fits = key.map_err(KeyTrouble::Unreadable).and_then(|key| {
            let certified = CertifiedKey::from_der(chain.clone(), key, trust.provider());
            certified.map(drop).map_err(|error| KeyTrouble::Unfit(error.to_string()))
        });
        Ok(Read {
            chain: chain.len(),
            distrust: distrust(own, between, hosts, &says.names, trust),
            key_trouble: fits.err(),
            key_mode,
            is_shown: if server_runs { shown(subject, hosts, own, trust) } else { None },
            says,
        })
    };
    Some(looked())
}

/// Why nobody would trust it, whatever name and time it is for, which are told apart.
fn distrust(
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    hosts: &[String],
    names: &[String],
    trust: &Trust,
) -> Option<String> {
    let plain = names.iter().find(|name| !name.starts_with('*'));
    let name = plain.or(hosts.first()).and_then(|name| ServerName::try_from(name.clone()).ok())?;
    match trust.doubts(own, between, &name)? {
        Distrust::Unknown(why) => Some(why),
        Distrust::Time | Distrust::Name => None,
    }
}

/// Whether the running server shows it to whoever asks for the first host.
fn shown(subject: &Subject, hosts: &[String], own: &CertificateDer<'_>, trust: &Trust) -> Option<bool> {
    let to = own_address(subject.http);
    let ip = to.ip().to_string();
    let name = hosts.first().unwrap_or(&ip);
    let question =
        Question { to, is_https: true, name, host: name, method: "GET", path: "/healthz", call: None };
    let shown = ask(&question, trust).ok()?.shown?;
    Some(shown.certificate.as_ref() == own.as_ref())
}
