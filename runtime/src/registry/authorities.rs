//! The certificate authorities that somebody names for this process.
//!
//! The TLS libraries pass over a file that they cannot read, and somebody who has misspelt its name would hear of an
//! "unknown authority", or of nothing as long as an image is here.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

/// Names a file in PEM format in place of the machine's own authorities, for OpenSSL and all that follow it.
const FILE: &str = "SSL_CERT_FILE";

/// Why the named file is of no use. Fits behind "error: ".
#[derive(Debug, thiserror::Error)]
#[error("failed to read {FILE} {path}: {source}", path = path.display())]
pub struct AuthoritiesError {
    path: PathBuf,
    source: Unusable,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Read(std::io::Error),
    #[error("it has a damaged section: {0}")]
    Damaged(pem::Error),
    #[error("it has no certificate in PEM format")]
    Empty,
}

/// Whether the file that `SSL_CERT_FILE` names, if it names one, can be read and begins with a certificate. Asked by
/// whoever is about to make an HTTP client.
///
/// # Errors
/// The file cannot be read, or has no certificate.
pub fn check_authorities() -> Result<(), AuthoritiesError> {
    env::var_os(FILE).map_or(Ok(()), |path| check(&path))
}

fn check(path: &OsStr) -> Result<(), AuthoritiesError> {
    // One is enough: the TLS library reads them all.
    let first = CertificateDer::pem_file_iter(path).map(|mut all| all.next());
    let unusable = match first {
        Ok(Some(Ok(_))) => return Ok(()),
        Ok(None) => Unusable::Empty,
        Ok(Some(Err(pem::Error::Io(error)))) | Err(pem::Error::Io(error)) => Unusable::Read(error),
        Ok(Some(Err(error))) | Err(error) => Unusable::Damaged(error),
    };
    Err(AuthoritiesError {
        path: path.into(),
        source: unusable,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::check;

    #[test]
    fn a_file_of_authorities_has_one_or_is_named_with_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("authorities.pem");
        let says = |content: &str| {
            std::fs::write(&path, content).unwrap();
            let said = check(path.as_os_str()).map_err(|error| error.to_string());
            said.map_err(|said| said.replace(path.to_str().unwrap(), "FILE"))
        };
        let one = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(says(one), Ok(()));
        assert_eq!(says(&format!("# ours\n{one}")), Ok(()));
        let key = one.replace("CERTIFICATE", "PRIVATE KEY");
        for none in ["", "# none yet\n", &key] {
            let error = says(none).unwrap_err();
            assert_eq!(
                error,
                "failed to read SSL_CERT_FILE FILE: it has no certificate in PEM format"
            );
        }
        let error = says("-----BEGIN CERTIFICATE-----\nMAAA\n").unwrap_err();
        assert!(
            error.contains("FILE: it has a damaged section: "),
            "{error}"
        );
        let error = check(OsStr::new("/nowhere.pem")).unwrap_err().to_string();
        assert!(
            error.starts_with("failed to read SSL_CERT_FILE /nowhere.pem: No such file"),
            "{error}"
        );
        let error = check(directory.path().as_os_str()).unwrap_err().to_string();
        assert!(error.ends_with("Is a directory (os error 21)"), "{error}");
    }
}
