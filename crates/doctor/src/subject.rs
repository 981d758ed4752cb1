//! What is looked at: what the settings say, as plain data. Whoever knows the settings fills it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use reelroom_library::S3Config;
use url::Url;

/// A set-up. Secrets are in it, so that it is not shown.
pub struct Subject {
    /// The data folder.
    pub data: DataFolder,
    /// The page and every API.
    pub http: Http,
    /// Media; none where a server outside has it.
    pub media: Option<Media>,
    /// Where people open the page, besides this machine's own addresses.
    pub public: Vec<PublicAddress>,
    /// How HTTPS is made.
    pub https: Https,
    /// The bucket for recordings; none where they stay in the data folder.
    pub bucket: Option<Bucket>,
    /// Where recordings go when the store refuses them.
    pub backup: Option<BackupStore>,
    /// The LiveKit server outside, if one is used.
    pub livekit: Option<LiveKit>,
    /// This program's own file, which composes, too.
    pub program: PathBuf,
    /// Whom that is to belong to which is made in the data folder, and who makes it, where root asks: nothing is left there, however doctor ends,
    /// that the server could not remove.
    pub maker: Option<Maker>,
}

/// A user, and their group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// The data folder.
pub struct DataFolder {
    /// Where it is.
    pub path: PathBuf,
    /// So many bytes of its disk are left free.
    pub reserve_bytes: u64,
}

/// Where HTTP is served.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    /// The address.
    pub listen: IpAddr,
    /// The port; 0 for any free one.
    pub port: u16,
    /// The port beside HTTPS that redirects, if there is one.
    pub redirect_port: Option<u16>,
}

/// Where media is received.
#[derive(Clone, Debug)]
pub struct Media {
    /// UDP and TCP; 0 for any free one.
    pub port: u16,
    /// At these addresses.
    pub at: Vec<IpAddr>,
    /// What clients are told instead.
    pub advertise: Vec<IpAddr>,
    /// What is asked of the system for each socket.
    pub socket_buffer_bytes: u64,
}

/// An address that people open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAddress {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it is opened by HTTPS.
    pub is_https: bool,
    /// What stands before every path: empty, or "/calls".
    pub prefix: String,
}

impl PublicAddress {
    /// The host as it stands in URLs.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let own_port = if self.is_https { 443 } else { 80 };
        if self.port == own_port { host } else { format!("{host}:{}", self.port) }
    }

    /// What `Host` says.
    #[must_use]
    pub fn host_header(&self) -> String {
        self.authority()
    }

    /// What people type.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// How HTTPS is made.
#[derive(Clone)]
pub enum Https {
    /// Not by this program: a proxy in front does it, or nobody.
    Off,
    /// By files.
    Files(CertificateFiles),
    /// By a certificate that an authority gives by ACME.
    Acme {
        /// What it gave; it may not be there yet.
        certificate: CertificateFiles,
        /// What became of the tries since, in JSON; there are none at first.
        tries: PathBuf,
        /// The host that is asked, with its port.
        authority: String,
    },
    /// By a certificate of our own making.
    Own(CertificateFiles),
}

impl Https {
    /// Whether this program itself speaks it.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }
}

/// A certificate and its key; the two may be one file.
#[derive(Clone)]
pub struct CertificateFiles {
    /// The chain, in PEM.
    pub certificate: PathBuf,
    /// The key, in PEM.
    pub key: PathBuf,
    /// Reads what is said in a certificate.
    pub read: ReadCertificate,
}

/// Reads the first certificate of a PEM file.
pub type ReadCertificate = fn(&[u8]) -> Result<CertificateSays, String>;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSays {
    /// The names that it is for; one may begin with "*.".
    pub names: Vec<String>,
    /// Not before.
    pub not_before: SystemTime,
    /// Not after.
    pub not_after: SystemTime,
    /// Nobody else has signed it.
    pub is_self_signed: bool,
}

/// A bucket.
pub struct Bucket {
    /// How it is reached.
    pub config: S3Config,
    /// Where recordings stand in it.
    pub prefix: String,
}

/// Where recordings go when the store refuses them.
pub enum BackupStore {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket(Box<Bucket>),
}

/// A LiveKit server outside.
pub struct LiveKit {
    /// Where it is.
    pub url: Url,
    /// Key and secret; none where they are not set and have to be.
    pub keys: Option<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_people_type_it() {
        let at = |host: &str, port, is_https, prefix: &str| {
            PublicAddress { host: host.into(), port, is_https, prefix: prefix.into() }.url()
        };
        assert_eq!(at("calls.example.org", 443, true, ""), "https://calls.example.org");
        assert_eq!(at("example.org", 8443, true, "/calls"), "https://example.org:8443/calls");
        assert_eq!(at("2001:db8::7", 80, false, ""), "http://[2001:db8::7]");
    }
}
