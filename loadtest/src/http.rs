//! The little HTTP/1.1 that signalling takes: plain text to one server, no TLS.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// A server by its authority, `host:port`.
#[derive(Debug, Clone)]
pub struct HttpClient {
    authority: String,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body as text; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// Why a request brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens there, or the connection broke.
    #[error("cannot reach http://{authority}: {reason}; is the server running?")]
    Unreachable {
        /// The server.
        authority: String,
        /// What the system says.
        reason: String,
    },
    /// No answer within the deadline.
    #[error("http://{0} gave no answer within 15 s")]
    Deadline(String),
    /// The request could not be built.
    #[error("not a valid request: {0}")]
    Request(#[from] hyper::http::Error),
    /// The server refused; its own explanation follows.
    #[error("{method} {path} was answered {status}: {body}")]
    Status {
        /// Method of the request.
        method: Method,
        /// Path of the request.
        path: String,
        /// The status.
        status: StatusCode,
        /// The problem+json or text the server sent.
        body: String,
    },
    /// The body was not the JSON that was expected.
    #[error("{path} answered something unexpected: {reason}")]
    Body {
        /// Path of the request.
        path: String,
        /// What was wrong with it.
        reason: String,
    },
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    method: Method,
    path: &'a str,
    bearer: Option<&'a str>,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl<'a> Call<'a> {
    /// A request without body or credentials.
    pub fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            bearer: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Send a bearer token along.
    pub fn bearer(mut self, token: &'a str) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Send a header along.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Send a body of a type along.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut call = self.header(CONTENT_TYPE, content_type);
        call.body = body.into();
        call
    }
}

impl HttpClient {
    /// A client of `host:port`.
    pub fn new(authority: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
        }
    }

    /// The server's `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Send a request over a connection of its own and read the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// The server cannot be reached or is silent for 15 s.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, HttpError> {
        tokio::time::timeout(DEADLINE, self.exchange(call))
            .await
            .map_err(|_| HttpError::Deadline(self.authority.clone()))?
    }

    /// Send a request and insist on a 2xx answer.
    ///
    /// # Errors
    ///
    /// As [`HttpClient::send`], or the server refused.
    pub async fn expect(&self, call: Call<'_>) -> Result<Answer, HttpError> {
        let (method, path) = (call.method.clone(), call.path.to_owned());
        let answer = self.send(call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(HttpError::Status {
            method,
            path,
            status: answer.status,
            body: answer.body,
        })
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Answer, HttpError> {
        let unreachable = |reason: String| HttpError::Unreachable {
            authority: self.authority.clone(),
            reason,
        };
        let stream = TcpStream::connect(&self.authority)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                .await
                .map_err(|e| unreachable(e.to_string()))?;
        // A broken connection shows in the request itself.
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(HOST, &self.authority);
        if let Some(token) = call.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let response = sender
            .send_request(request.body(Full::new(call.body))?)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|e| unreachable(e.to_string()))?
            .to_bytes();
        driver.abort();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
