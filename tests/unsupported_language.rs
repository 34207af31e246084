//! A language without engine is answered with those there are.

mod server;

use serde_json::json;
use server::{Server, offer, token};

#[test]
fn the_answer_names_the_pairs_that_there_are() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let listen = |lang: &str| {
        let path = format!("/whep/demo?lang={lang}");
        server
            .request("POST", &path)
            .bearer(&ann)
            .body("application/sdp", offer("listen.sdp"))
            .send()
    };
    let refused = listen("de");
    assert_eq!(refused.problem(), (422, "unsupported-language".to_owned()));
    assert_eq!(refused.json()["asked"], "de");
    let available = refused.json()["available"].clone();
    assert!(
        available
            .as_array()
            .is_some_and(|pairs| pairs.contains(&json!({ "from": "en", "to": "es" }))),
        "{available}"
    );
    assert_eq!(
        listen("not-a-language-").problem(),
        (400, "invalid-language".to_owned())
    );
    let heard = listen("es");
    assert_eq!(heard.status, 201, "{heard:?}");
    assert!(heard.header("location").starts_with("/whep/demo/"));
}
