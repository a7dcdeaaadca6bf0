//! Why a policy is refused, with RabbitMQ's explanations.

use thiserror::Error;

/// Each displays as RabbitMQ's explanation without the `Validation failed` in front.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A definition without keys.
    #[error("no policy provided")]
    Empty,
    /// Keys that nobody knows, as an Erlang term.
    #[error("{0} are not recognised policy settings")]
    Unknown(String),
    /// A value that its key cannot have.
    #[error("{value} is not a valid {what}")]
    Invalid {
        /// The value as an Erlang term.
        value: String,
        /// What the key says, and more.
        what: &'static str,
    },
    /// `queue-master-locator`.
    #[error("use of deprecated queue-master-locator argument is not permitted")]
    MasterLocator,
    /// `delayed-retry-type` without `delayed-retry-min`.
    #[error("delayed-retry-min is required when delayed-retry-type is {0}")]
    RetryWithoutMin(String),
    /// `delayed-retry-max` below `delayed-retry-min`.
    #[error("delayed-retry-max ({max}) must not be smaller than delayed-retry-min ({min})")]
    RetryMaxBelowMin {
        /// The one.
        min: i64,
        /// The other.
        max: i64,
    },
    /// `apply-to`.
    #[error(
        "apply-to '{0}' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', 'exchanges', or 'all'"
    )]
    ApplyTo(String),
    /// The pattern.
    #[error("pattern should be regular expression but is invalid: {0}")]
    Pattern(String),
}

impl PolicyError {
    /// One line for an error of several.
    pub(super) fn pattern(error: &regex::Error) -> Self {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        Self::Pattern(last.trim_start_matches("error: ").to_owned())
    }
}
