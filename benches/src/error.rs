//! Why a measurement ends without a figure.

use std::{io, path::PathBuf};

/// What went wrong, told to whoever started the bench.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A program could not be started, or ended with a failure.
    #[error("{program}: {reason}")]
    Program { program: String, reason: String },
    /// What a program or a file of the kernel said is not of the form it should have.
    #[error("{what}: {text:?} is not of the expected form")]
    Form { what: &'static str, text: String },
    /// Answers were missing, of the wrong status or of the wrong length: such a run has no figure.
    #[error("wrong answers: {0}")]
    WrongAnswers(String),
    /// What was asked for does not exist or makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The network between bench, peer and origin failed.
    #[error("{doing}: {source}")]
    Network { doing: String, source: io::Error },
    /// More instructions than the bound allows.
    #[error("{0}")]
    AboveBound(String),
}

/// Names the file that an I/O error is about.
pub(crate) fn about(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BenchError {
    let path = path.into();
    move |source| BenchError::File { path, source }
}

/// Names what was done when the network failed.
pub(crate) fn while_doing(doing: impl Into<String>) -> impl FnOnce(io::Error) -> BenchError {
    let doing = doing.into();
    move |source| BenchError::Network { doing, source }
}
