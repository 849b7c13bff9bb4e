//! Stored certificates.

use std::path::Path;

use lineside_protocol::rest::Secret;
use lineside_protocol::rest::certificate::{AddCertRequest, CertType};
use lineside_protocol::rest::http::limit;
use serde_json::{Value, json};

use super::hold::Held;
use super::{Action, Job, answer, files, within};
use crate::trouble::Failure;

/// A certificate that is to be stored, and its id.
pub(super) struct Stored {
    id: String,
    request: AddCertRequest,
}

/// The certificate's id, which every generation must name and no two call the same.
fn id(job: &Job<'_>) -> Result<String, Failure> {
    let Some(id) = job.values.get("certificate") else {
        return Err(Failure::usage(
            "azsphere.parameter",
            "no certificate is named",
            "Name it with --certificate (--certid in the classic command).",
        ));
    };
    within("the id of the certificate", id, 1, limit::CERT_ID)?;
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if id.bytes().all(is_fine) && !matches!(id, "." | "..") {
        return Ok(id.to_owned());
    }
    Err(Failure::usage(
        "azsphere.parameter",
        format!("`{}` is no id of a certificate", id.escape_default()),
        "Take letters, digits, `.`, `-` and `_`; nothing was sent.",
    ))
}

pub(super) fn stored(job: &Job<'_>) -> Result<Stored, Failure> {
    let id = id(job)?;
    let public = files::text(
        Path::new(job.values.get("public").unwrap_or_default()),
        "the certificate",
    )?;
    within("the certificate", &public, 1, limit::PUBLIC_CERT)?;
    let private = job
        .values
        .get("private")
        .map(|path| files::text(Path::new(path), "the private key"))
        .transpose()?;
    if let Some(private) = &private {
        within("the private key", private, 1, limit::PRIVATE_KEY)?;
    }
    let password = job.values.get("password");
    if let Some(password) = password {
        within("the pass-phrase", password, 1, limit::KEY_PASSWORD)?;
    }
    Ok(Stored {
        id,
        request: AddCertRequest {
            cert_type: if job.values.get("type") == Some("rootca") {
                CertType::RootCa
            } else {
                CertType::Client
            },
            public_cert: Some(public),
            private_key: private.map(Secret::new),
            password: password.map(Secret::new),
        },
    })
}

pub(super) async fn add(held: &mut Held, stored: &Stored) -> Result<Value, Failure> {
    let device = held.hand.device()?;
    device.add_certificate(&stored.id, &stored.request).await?;
    answer(device.certificate(&stored.id).await)
}

pub(super) async fn perform(job: &Job<'_>, action: Action, held: &mut Held) -> Result<Value, Failure> {
    let device = held.hand.device()?;
    match action {
        Action::Certificates => {
            let all = device.certificates().await?.identifiers;
            Ok(all.into_iter().map(|id| json!({ "id": id })).collect())
        }
        Action::CertificateSpace => answer(device.certificate_space().await),
        Action::CertificateDelete => {
            let id = id(job)?;
            device.delete_certificate(&id).await?;
            Ok(json!({ "id": id }))
        }
        _ => answer(device.certificate(&id(job)?).await),
    }
}
