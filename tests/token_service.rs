//! A service with its key gets tokens that open the room.

mod server;

use serde_json::json;
use server::{SERVICE_KEY, Server, offer};

#[test]
fn a_speaker_may_speak_and_a_listener_only_listen() {
    let server = Server::start("");
    let issue = |role: &str| {
        let body =
            json!({ "room_name": "demo", "participant_name": format!("a {role}"), "role": role });
        server
            .request("POST", "/auth/token/room")
            .bearer(SERVICE_KEY)
            .json(&body)
            .send()
    };
    let open = |path: &str, token: &str, sdp: &str| {
        server
            .request("POST", path)
            .bearer(token)
            .body("application/sdp", offer(sdp))
            .send()
    };
    for (role, speaks) in [("speaker", true), ("listener", false)] {
        let issued = issue(role);
        assert_eq!(issued.status, 200, "{issued:?}");
        let issued = issued.json();
        let token = issued["token"].as_str().expect("a token");
        let whep = issued["urls"]["whep"].as_str().expect("an address");
        assert_eq!(open(whep, token, "listen.sdp").status, 201);
        let spoken = open("/whip/demo", token, "publish.sdp");
        assert_eq!(spoken.status == 201, speaks, "{spoken:?}");
    }
    assert_eq!(issue("king").problem(), (400, "invalid-json".to_owned()));
    let keyless = server
        .request("POST", "/auth/token/room")
        .json(&json!({}))
        .send();
    assert_eq!(keyless.problem(), (401, "invalid-service-key".to_owned()));
}
