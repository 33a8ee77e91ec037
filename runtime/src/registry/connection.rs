//! Why a connection failed, in words that say what to do where that is known.

use std::error::Error;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use super::error::printable;

/// The cause at the end of the chain: "connection refused" rather than "error sending request".
pub(super) fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let mut cause: &dyn Error = error;
    loop {
        if let Some(advice) = tls(cause).and_then(advice) {
            return advice.to_owned();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return printable(&cause.to_string()),
        }
    }
}

/// An error of TLS comes inside one of input and output, or inside several.
fn tls<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut outer = cause.downcast_ref::<io::Error>()?;
    loop {
        let inner = outer.get_ref()?;
        match inner.downcast_ref::<io::Error>() {
            Some(error) => outer = error,
            None => return inner.downcast_ref(),
        }
    }
}

/// What to do about the faults that are an operator's to mend.
fn advice(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "its certificate is of an authority that this machine does not trust; \
             SSL_CERT_FILE can name a file with the authority's own",
        ),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(
            "it does not speak TLS; a registry without it has to stand under `registries.insecure` \
             of the machine's configuration",
        ),
        _ => None,
    }
}
