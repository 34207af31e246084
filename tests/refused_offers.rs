//! SDP that is garbage, huge, without audio or with only unknown codecs is refused with the reason, and the
//! next client is served.

mod server;

use server::{Server, offer, token};

#[test]
fn every_bad_offer_has_its_own_answer() {
    let server = Server::start("");
    let ann = token("demo", "ann", &[]);
    let publish = |body: Vec<u8>| {
        server
            .request("POST", "/whip/demo")
            .bearer(&ann)
            .body("application/sdp", body)
            .send()
    };
    let good = offer("publish.sdp");
    // Truncated on the way.
    let before = |line: &str| {
        let end = good.find(line).expect("the offer has the line");
        good.as_bytes()[..end].to_vec()
    };
    for (body, status, problem) in [
        ("garbage".to_owned().into_bytes(), 400, "invalid-offer"),
        (Vec::new(), 400, "invalid-offer"),
        (vec![0xff; 100], 400, "bad-request"),
        (before("m=audio"), 422, "unusable-offer"),
        (before("a=rtpmap"), 406, "unsupported-codec"),
        (vec![b'a'; 70_000], 413, "payload-too-large"),
        (
            offer("without-audio.sdp").into_bytes(),
            422,
            "unusable-offer",
        ),
        (
            offer("unknown-codecs.sdp").into_bytes(),
            406,
            "unsupported-codec",
        ),
        (offer("listen.sdp").into_bytes(), 422, "unusable-offer"),
        (
            good.replace("a=rtcp-mux\r\n", "").into_bytes(),
            422,
            "unusable-offer",
        ),
        (
            good.replace("a=fingerprint", "a=x").into_bytes(),
            422,
            "unusable-offer",
        ),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(
            publish(body).problem(),
            (status, problem.to_owned()),
            "{shown}"
        );
    }
    let json = server
        .request("POST", "/whip/demo")
        .bearer(&ann)
        .body("application/json", "{}")
        .send();
    assert_eq!(json.problem(), (415, "unsupported-media-type".to_owned()));
    assert_eq!(json.header("accept-post"), "application/sdp");
    let answer = publish(good.into_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    let listener = token("demo", "bob", &["--publish", "false"]);
    let confused = server
        .request("POST", "/whep/demo")
        .bearer(&listener)
        .body("application/sdp", offer("publish.sdp"));
    assert_eq!(
        confused.send().problem(),
        (422, "unusable-offer".to_owned())
    );
}
