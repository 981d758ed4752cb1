#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use super::*;
use crate::acme::Given;
use crate::pair::tests::made;

const DAY: Duration = Duration::from_secs(86_400);

fn opened(folder: &Path, source: Source) -> Result<Certificates, CertsError> {
    let served = Arc::new(|| Served::new(["192.168.1.5".to_owned()], []));
    Certificates::open(CertsConfig { folder: folder.join("tls"), source, served })
}

fn files(folder: &Path) -> Source {
    Source::Files { cert: folder.join("chain.pem"), key: folder.join("key.pem") }
}

fn write(folder: &Path, names: &[&str]) {
    let now = SystemTime::now();
    let (chain, key) = made(names, now - DAY, now + DAY * 30);
    fs::write(folder.join("chain.pem"), chain).unwrap();
    fs::write(folder.join("key.pem"), key).unwrap();
}

fn acme() -> AcmeSettings {
    AcmeSettings {
        name: "calls.example.org".into(),
        // Nobody answers there, and that is known at once.
        directory: "https://127.0.0.1:1/directory".into(),
        email: None,
        ca: None,
        has_http: false,
    }
}

#[test]
fn files_are_read_again_and_what_is_broken_changes_nothing_but_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(opened(path, files(path)).is_err(), "there are none");
    write(path, &["calls.example.org"]);
    let certificates = opened(path, files(path)).unwrap();
    let first = certificates.serving();
    assert_eq!((first.is_stopgap, &first.stale_because), (false, &None));
    fs::write(path.join("key.pem"), "no key").unwrap();
    assert!(certificates.reload().is_err());
    let stale = certificates.serving();
    assert_eq!(stale.fingerprint, first.fingerprint);
    assert!(stale.stale_because.as_ref().unwrap().contains("key.pem"), "{stale:?}");
    assert!(certificates.warnings()[0].contains("days left"), "{:?}", certificates.warnings());
    fs::remove_file(path.join("chain.pem")).unwrap();
    certificates.reload().unwrap_err();
    assert!(certificates.serving().stale_because.unwrap().contains("chain.pem"));
    write(path, &["calls.example.org", "other.example.org"]);
    certificates.reload().unwrap();
    let newest = certificates.serving();
    assert_ne!(newest.fingerprint, first.fingerprint);
    assert_eq!((newest.stale_because, certificates.warnings()), (None, vec![]));
}

#[test]
fn what_was_changed_a_moment_ago_is_left_alone_until_all_of_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, &["calls.example.org"]);
    let certificates = opened(path, files(path)).unwrap();
    let first = certificates.serving();
    let (chain, _) = made(&["calls.example.org"], SystemTime::now() - DAY, SystemTime::now() + DAY);
    fs::write(path.join("chain.pem"), chain).unwrap();
    certificates.shared.look();
    assert_eq!(certificates.serving(), first, "the other half may be on its way");
    let old = fs::File::options().write(true).open(path.join("chain.pem")).unwrap();
    old.set_modified(SystemTime::now() - DAY).unwrap();
    let key = fs::File::options().write(true).open(path.join("key.pem")).unwrap();
    key.set_modified(SystemTime::now() - DAY).unwrap();
    certificates.shared.look();
    assert!(certificates.serving().stale_because.unwrap().contains("does not fit"));
    assert_eq!(certificates.serving().fingerprint, first.fingerprint);
}

#[test]
fn only_somebody_whom_browsers_believe_vouches_and_for_public_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, &["calls.example.org", "box.local", "192.0.2.1", "localhost", "nas"]);
    let certificates = opened(path, files(path)).unwrap();
    assert!(certificates.vouches_for("calls.example.org"));
    for host in ["other.example.org", "box.local", "192.0.2.1", "localhost", "nas", "a.localhost"] {
        assert!(!certificates.vouches_for(host), "{host}");
    }
    let own = opened(path, Source::Own).unwrap();
    assert!(!own.vouches_for("192.168.1.5") && own.warnings().is_empty());
    let now = SystemTime::now();
    let (chain, key) = made(&["calls.example.org"], now - DAY * 3, now - DAY);
    fs::write(path.join("chain.pem"), chain).unwrap();
    fs::write(path.join("key.pem"), key).unwrap();
    let over = opened(path, files(path)).unwrap();
    assert!(!over.vouches_for("calls.example.org"));
    assert!(over.warnings()[0].contains("is over"), "it starts all the same: {:?}", over.warnings());
}

#[test]
fn until_an_acme_server_gives_one_the_servers_own_stands_in_and_after_that_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let certificates = opened(path, Source::Acme(acme())).unwrap();
    assert!(certificates.serving().is_stopgap && certificates.serving().facts.covers("192.168.1.5"));
    assert!(certificates.warnings()[0].contains("being ordered"));
    assert_eq!(certificates.shared.given().0, None);
    let now = SystemTime::now();
    let (chain, key) = made(&["calls.example.org"], now - DAY, now + DAY * 89);
    certificates.shared.take(&Given { chain, key }).unwrap();
    let given = certificates.serving();
    assert!(!given.is_stopgap && certificates.vouches_for("calls.example.org"));
    assert!(certificates.shared.given().0.is_some());
    let again = opened(path, Source::Acme(acme())).unwrap();
    assert_eq!(again.serving(), given);
    let other = AcmeSettings { name: "other.example.org".into(), ..acme() };
    assert!(opened(path, Source::Acme(other)).unwrap().serving().is_stopgap);
}

#[tokio::test]
async fn a_try_that_fails_is_on_the_disk_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = opened(folder.path(), Source::Acme(acme())).unwrap();
    let Kind::Acme(server) = &certificates.shared.kind else { panic!("it is one") };
    let past = certificates.order(server, Past::default()).await;
    assert_eq!(past.failures, 1);
    assert!(past.why.as_ref().unwrap().contains("calls.example.org"), "{past:?}");
    assert_eq!(certificates.shared.acme_past(), past);
    let warnings = certificates.warnings();
    assert!(warnings[0].contains("there is no certificate of the ACME server yet"), "{warnings:?}");

    // Whoever starts again knows what is wrong, and does not ask at once.
    let again = opened(folder.path(), Source::Acme(acme())).unwrap();
    let stop = CancellationToken::new();
    let tending = tokio::spawn({
        let (again, stop) = (again.clone(), stop.clone());
        async move { again.tend(stop).await }
    });
    let told = async {
        while again.serving().stale_because != past.why {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    stop.cancel();
    tending.await.unwrap();
    assert_eq!(again.shared.acme_past(), past);
}
