//! Answers that cannot be read, and a check of any answer against its operation.

use std::fmt;

use lineside_terms::{Blame, Explain};
use serde::de::DeserializeOwned;

use super::{ErrorBody, Operation, application, certificate, device, image, network, status, wifi};

/// A body that does not say what its operation answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer to {operation} cannot be read: {fault}")]
pub struct AnswerError {
    operation: Operation,
    fault: BodyFault,
}

impl AnswerError {
    pub(super) const fn new(operation: Operation, fault: BodyFault) -> Self {
        Self { operation, fault }
    }

    /// The operation whose answer it was.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// What is wrong with the body.
    pub const fn fault(&self) -> &BodyFault {
        &self.fault
    }
}

impl Explain for AnswerError {
    fn code(&self) -> &'static str {
        match self.fault {
            BodyFault::NotJson { .. } => "rest.answer-not-json",
            BodyFault::CutOff => "rest.answer-cut-off",
            BodyFault::NotAsExpected { .. } => "rest.answer-unexpected",
        }
    }

    fn help(&self) -> String {
        match self.fault {
            BodyFault::NotJson { .. } | BodyFault::CutOff => {
                "Try again; if it stays so, check cable and board, then recover the device's OS."
            }
            BodyFault::NotAsExpected { .. } => {
                "The device's OS may be one that is not supported: compare its version with the plan's."
            }
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Device
    }
}

/// What is wrong with a body. Of what was sent only names of fields of ours are told, never values: they may be
/// secret, and they may be hostile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFault {
    /// Not JSON.
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 before the first byte of a line.
        column: usize,
    },
    /// JSON that ends too early, or nothing at all.
    CutOff,
    /// JSON, but not of the expected shape.
    NotAsExpected {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 before the first byte of a line.
        column: usize,
        /// Which of our fields is missing or doubled, where that is what is wrong.
        field: Option<String>,
    },
}

impl BodyFault {
    /// Takes from the reader's error what may be told.
    pub fn of(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Eof => Self::CutOff,
            Category::Data => Self::NotAsExpected {
                line,
                column,
                field: field_of(&error.to_string()),
            },
            Category::Syntax | Category::Io => Self::NotJson { line, column },
        }
    }
}

/// The field name in "missing field `x`" and "duplicate field `x`". Any other text may repeat a value.
fn field_of(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("duplicate field `"))?;
    rest.split_once('`').map(|(field, _)| field.to_owned())
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::CutOff => f.write_str("it ends too early"),
            Self::NotAsExpected {
                line,
                column,
                field: Some(field),
            } => {
                write!(
                    f,
                    "`{field}` is missing or doubled at line {line}, column {column}"
                )
            }
            Self::NotAsExpected {
                line,
                column,
                field: None,
            } => {
                write!(f, "not of the expected shape at line {line}, column {column}")
            }
        }
    }
}

/// Whether a body is what a successful answer to this operation looks like. Raw bytes always are, if there are any.
///
/// # Errors
/// When the body cannot be read as the type that belongs to the operation.
pub fn check(operation: Operation, body: &[u8]) -> Result<(), AnswerError> {
    use Operation as O;
    fn reads<T: DeserializeOwned>(operation: Operation, body: &[u8]) -> Result<(), AnswerError> {
        super::json::read_answer::<T>(operation, body).map(drop)
    }
    let read = match operation {
        O::GetAbiVersions => reads::<status::AbiVersions>,
        O::GetAppStatus | O::ControlApp => reads::<application::AppStatus>,
        O::GetAppQuota => reads::<application::Quota>,
        O::GetMemoryStats => reads::<application::MemoryStats>,
        O::GetCerts => reads::<certificate::CertList>,
        O::GetCert => reads::<certificate::Cert>,
        O::GetCertSpace => reads::<certificate::CertSpace>,
        O::GetCapabilities => reads::<device::Capabilities>,
        O::GetSecurityState => reads::<device::Security>,
        O::GetManufacturingState => reads::<device::Manufacturing>,
        O::GetImages => reads::<image::Images>,
        O::GetFirewall => reads::<network::Rulesets>,
        O::GetInterfaces => reads::<network::Interfaces>,
        O::GetInterface => reads::<network::Interface>,
        O::GetProxy | O::SetProxy => reads::<network::Proxy>,
        O::GetNetStatus => reads::<network::NetStatus>,
        O::GetOsVersion => reads::<status::OsVersion>,
        O::GetStatus => reads::<status::Status>,
        O::Restart | O::Install | O::DeleteImage => reads::<status::Restarting>,
        O::GetWifiNetworks => reads::<wifi::Networks>,
        O::AddWifiNetwork | O::GetWifiNetwork | O::ChangeWifiNetwork => reads::<wifi::Network>,
        O::GetWifiDiagnostics => reads::<wifi::Diagnostics>,
        O::GetWifiNetworkDiagnostics => reads::<wifi::Diagnosis>,
        O::GetWifiInterface => reads::<wifi::WifiInterface>,
        O::GetWifiScan => reads::<wifi::Scan>,
        O::AddCert
        | O::DeleteCert
        | O::SetManufacturingState
        | O::ChangeInterface
        | O::DeleteProxy
        | O::ClearTelemetry
        | O::Stage
        | O::DeleteWifiNetwork
        | O::ChangeWifiInterface => reads::<status::Done>,
        O::GetLog | O::GetTelemetry => {
            let empty = AnswerError {
                operation,
                fault: BodyFault::CutOff,
            };
            return if body.is_empty() { Err(empty) } else { Ok(()) };
        }
    };
    read(operation, body)
}

/// Reads the body of a refusal, or `None` when it has none or holds no code.
pub fn error_code(body: &[u8]) -> Option<super::ErrorCode> {
    serde_json::from_slice::<ErrorBody>(body)
        .ok()
        .map(|body| body.error)
}
