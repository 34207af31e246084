//! Cross-origin requests (Fetch standard, section 3.2): which origins may call, and what their scripts may see.

use actix_web::http::{
    Method, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use crate::config::Cors;

/// Response headers that scripts need for WHIP and WHEP.
const EXPOSED: &str =
    "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate";
/// Request headers that scripts send.
const ACCEPTED: &str = "Authorization, Content-Type, If-Match";

/// What a request said of its origin.
#[derive(Debug)]
pub(super) struct CrossOrigin {
    origin: Option<HeaderValue>,
    preflight: bool,
}

impl CrossOrigin {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        Self {
            origin: headers.get(header::ORIGIN).cloned(),
            preflight: method == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        }
    }

    /// Adds what the browser has to know to a response.
    pub(super) fn answer(&self, cors: &Cors, status: StatusCode, headers: &mut HeaderMap) {
        let any = cors.origins.iter().any(|origin| origin == "*");
        if !any {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = &self.origin else { return };
        let allowed = if any {
            HeaderValue::from_static("*")
        } else if cors
            .origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        {
            origin.clone()
        } else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
        if self.preflight && status.is_success() {
            if let Some(methods) = headers.get(header::ALLOW).cloned() {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(ACCEPTED),
            );
            headers.insert(
                header::ACCESS_CONTROL_MAX_AGE,
                HeaderValue::from(cors.max_age.as_secs()),
            );
            // Chromium asks pages of public addresses before they may call private ones.
            headers.insert(
                HeaderName::from_static("access-control-allow-private-network"),
                HeaderValue::from_static("true"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(origins: &[&str], origin: Option<&str>, preflight: bool) -> HeaderMap {
        let cors = Cors {
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            ..Cors::default()
        };
        let mut request = HeaderMap::new();
        if let Some(origin) = origin {
            request.insert(
                header::ORIGIN,
                HeaderValue::from_str(origin).expect("a value"),
            );
        }
        if preflight {
            request.insert(
                header::ACCESS_CONTROL_REQUEST_METHOD,
                HeaderValue::from_static("PATCH"),
            );
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ALLOW,
            HeaderValue::from_static("PATCH, DELETE, OPTIONS"),
        );
        let method = if preflight {
            Method::OPTIONS
        } else {
            Method::PATCH
        };
        CrossOrigin::of(&method, &request).answer(&cors, StatusCode::NO_CONTENT, &mut headers);
        headers
    }

    fn text(headers: &HeaderMap, name: HeaderName) -> &str {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[test]
    fn any_origin_may_call_and_sees_what_whip_needs() {
        let headers = answered(&["*"], Some("https://app.example.org"), true);
        assert_eq!(text(&headers, header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
        assert_eq!(
            text(&headers, header::ACCESS_CONTROL_ALLOW_METHODS),
            "PATCH, DELETE, OPTIONS"
        );
        assert!(text(&headers, header::ACCESS_CONTROL_ALLOW_HEADERS).contains("If-Match"));
        assert!(
            text(&headers, header::ACCESS_CONTROL_EXPOSE_HEADERS)
                .starts_with("Location, ETag, Link")
        );
    }

    #[test]
    fn only_the_listed_origins_may_call_and_caches_are_told() {
        let listed = ["https://app.example.org"];
        let headers = answered(&listed, Some("https://app.example.org"), false);
        assert_eq!(
            text(&headers, header::ACCESS_CONTROL_ALLOW_ORIGIN),
            "https://app.example.org"
        );
        assert_eq!(text(&headers, header::VARY), "Origin");
        assert!(
            !headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS),
            "that is for preflights"
        );
        let headers = answered(&listed, Some("https://evil.example.org"), true);
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        assert_eq!(text(&headers, header::VARY), "Origin");
    }

    #[test]
    fn without_an_origin_nothing_is_said() {
        let headers = answered(&["*"], None, false);
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
