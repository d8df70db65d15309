//! Certificate authorities of a tenant's own.

use crate::model::Problem;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// The authorities that one tenant trusts besides the machine's, for a target with a certificate of
/// the house.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(Vec<Vec<u8>>);

/// Largest file of authorities, in bytes; the whole public list is a quarter of it.
const BYTES_MAX: u64 = 1 << 20;

impl Authorities {
    /// Each as DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }

    pub(super) fn of(
        file: Option<&Path>,
        folder: &Path,
        at: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Some(file) = file else { return Some(Self::default()) };
        let path = folder.join(file);
        let told = |why: String| {
            let hint = "name a PEM file with the certificate of the authority, not of the target";
            let message = format!("the file {} {why}", path.display());
            problems.push(Problem::new(format!("{at}.ca_file"), message).hint(hint));
        };
        read(&path).and_then(|bytes| parse(&bytes)).map_err(told).ok()
    }
}

/// Whoever can write the file can stand in for the target.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(format!("can be written by others (mode {mode:04o}); run `chmod go-w` on it"));
    }
    if metadata.len() > BYTES_MAX {
        return Err(format!("is larger than {BYTES_MAX} bytes"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

fn parse(pem: &[u8]) -> Result<Authorities, String> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|_| "is not PEM".to_owned())?;
    if found.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    let mut store = RootCertStore::empty();
    for (number, certificate) in found.iter().enumerate() {
        let unusable = |_| format!("holds a certificate, number {}, that is none", number + 1);
        store.add(certificate.clone()).map_err(unusable)?;
    }
    Ok(Authorities(found.iter().map(|certificate| certificate.to_vec()).collect()))
}

/// Long, and of no use to anybody who reads it.
impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}
