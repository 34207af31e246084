//! One POST to a receiver.

use std::{sync::Arc, time::Duration};

use actix_web::http::{Uri, header};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use tokio::time::timeout;

use crate::config::{InvalidReceiver, Secret, parse_receiver};

/// LiveKit's own media type, so that no framework parses the body before its signature was checked.
const CONTENT_TYPE: &str = "application/webhook+json";

/// Of an answer's body nothing is wanted; so much is read that the connection can be used again.
const ANSWER_LIMIT: usize = 16 * 1024;

/// So long is waited for it.
const DRAIN: Duration = Duration::from_millis(100);

/// Webhooks cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartWebhooksError {
    /// A URL cannot be used.
    #[error("`webhook.urls`: a receiver {0}")]
    Receiver(#[from] InvalidReceiver),
    /// The certificates of authorities cannot be read.
    #[error(
        "`webhook.urls` has https addresses, but there are no certificates of authorities to check them with{}; \
         install ca-certificates, or name a bundle by SSL_CERT_FILE", because(.0)
    )]
    NoAuthorities(Option<String>),
    /// TLS cannot be set up.
    #[error("TLS for webhooks cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

fn because(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"))
}

/// What is posted. It has no `Debug`: the token is nobody else's.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) body: Bytes,
    pub(super) token: String,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// When to come again.
    pub(super) retry_after: Option<Duration>,
}

/// Nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    #[error("the receiver cannot be reached: {0}")]
    Unreachable(String),
    #[error("the receiver did not answer in time (webhook.timeout)")]
    Timeout,
    #[error("the exchange broke off: {0}")]
    Broken(String),
}

/// A way to a receiver.
pub(super) trait Post {
    fn post(&self, message: Message) -> LocalBoxFuture<'_, Result<Answer, PostError>>;
}

/// The way over HTTP.
pub(super) struct HttpPost {
    client: awc::Client,
    url: Uri,
}

impl HttpPost {
    pub(super) fn new(client: awc::Client, url: Uri) -> Self {
        Self { client, url }
    }
}

impl Post for HttpPost {
    fn post(&self, message: Message) -> LocalBoxFuture<'_, Result<Answer, PostError>> {
        Box::pin(async move {
            let mut response = self
                .client
                .post(&self.url)
                .insert_header((header::AUTHORIZATION, message.token))
                .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
                .send_body(message.body)
                .await
                .map_err(failed)?;
            let retry_after = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            // The head is the answer: whoever leaves the body open has it all the same.
            let _ = timeout(DRAIN, response.body().limit(ANSWER_LIMIT)).await;
            Ok(Answer {
                status: response.status().as_u16(),
                retry_after,
            })
        })
    }
}

fn failed(error: awc::error::SendRequestError) -> PostError {
    use awc::error::{ConnectError, SendRequestError};
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            PostError::Timeout
        }
        SendRequestError::Connect(error) => PostError::Unreachable(error.to_string()),
        error => PostError::Broken(error.to_string()),
    }
}

/// The receivers, and TLS if one of them wants it.
pub(super) fn receivers(
    urls: &[Secret],
) -> Result<(Vec<Uri>, Option<Arc<ClientConfig>>), StartWebhooksError> {
    let urls: Vec<Uri> = urls.iter().map(parse_receiver).collect::<Result<_, _>>()?;
    let https = urls.iter().any(|url| url.scheme_str() == Some("https"));
    let tls = https.then(tls).transpose()?;
    Ok((urls, tls))
}

/// A client for each of the receivers; they share the authorities.
pub(super) fn clients(urls: &[Secret]) -> Result<Vec<(Uri, awc::Client)>, StartWebhooksError> {
    let (urls, tls) = receivers(urls)?;
    let made = urls.into_iter().map(|url| (url, client(tls.clone())));
    Ok(made.collect())
}

/// The sender bounds the time of a whole exchange, and a signed body goes to its receiver and nowhere else.
fn client(tls: Option<Arc<ClientConfig>>) -> awc::Client {
    let connector = awc::Connector::new();
    let connector = match tls {
        Some(tls) => connector.rustls_0_23(tls),
        None => connector,
    };
    awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .disable_timeout()
        .add_default_header((
            header::USER_AGENT,
            concat!("hive/", env!("CARGO_PKG_VERSION")),
        ))
        .finish()
}

/// The machine's authorities, and ring as everywhere in HIVE.
fn tls() -> Result<Arc<ClientConfig>, StartWebhooksError> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    let (usable, _) = authorities.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.first().map(ToString::to_string);
        return Err(StartWebhooksError::NoAuthorities(reason));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
