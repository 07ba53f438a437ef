//! How a webhook was answered.

use super::OutcomeClass;
use super::Text::{Part, Wrapper};
use super::family::family;

family! {
    /// The status class of a `webhook_delivery` (`webhook.status_class`); as a reason, why it failed.
    WebhookStatus, class Option<OutcomeClass>, restart &[];

    /// Accepted.
    Success = "2xx", Some(OutcomeClass::Success), [];
    /// Redirected. Says nothing about success: a client that follows redirects reports the last answer.
    Redirect = "3xx", None, [];
    /// Refused, other than by 410 and 429.
    ClientError = "4xx", Some(OutcomeClass::Failure), [];
    /// Gone for good.
    Gone = "410", Some(OutcomeClass::Failure), [];
    /// Too many requests.
    TooManyRequests = "429", Some(OutcomeClass::Failure), [];
    /// The receiver failed.
    ServerError = "5xx", Some(OutcomeClass::Failure), [];
    /// No answer in time.
    Timeout = "timeout", Some(OutcomeClass::Failure),
        [Part("timeout"), Part("timed out"), Part("deadline exceeded"), Part("deadline has elapsed")];
    /// No connection.
    NetworkError = "network_error", Some(OutcomeClass::Failure),
        [Part("network_error"), Part("network error"), Part("connection refused"), Part("connection reset"),
         Part("connection closed"), Part("dns error"), Wrapper("error sending request"), Part("connect error")];
}

impl WebhookStatus {
    /// The class of an HTTP status code; `None` below 200 and above 599.
    pub fn from_http(code: i64) -> Option<Self> {
        match code {
            200..=299 => Some(Self::Success),
            300..=399 => Some(Self::Redirect),
            410 => Some(Self::Gone),
            429 => Some(Self::TooManyRequests),
            400..=499 => Some(Self::ClientError),
            500..=599 => Some(Self::ServerError),
            _ => None,
        }
    }

    /// Whether a delivery that ended so failed.
    pub fn is_failure(self) -> bool {
        self.class() == Some(OutcomeClass::Failure)
    }
}
