//! A service with the real engines, and what several tests ask of it.

use std::time::Duration;

use actix::System;
use hive_actors::{PublishRequest, Service, ServiceSettings, Session, SessionError};
use hive_models::Lang;

pub(crate) fn settings() -> ServiceSettings {
    let mut settings = ServiceSettings::default();
    settings.media.bind = "127.0.0.1:0".parse().expect("an address");
    settings.engines.assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../.deps").into();
    settings.engines.decoders = 1;
    settings.engines.apertium_children = 1;
    settings.engines.espeak_children = 1;
    settings.device.threads = 1;
    settings.rooms.max_rooms = 2;
    settings.rooms.max_participants = 3;
    settings.chaos = true;
    settings
}

pub(crate) fn with_service(test: impl AsyncFnOnce(Service)) {
    System::new().block_on(async {
        let service = Service::start(settings())
            .await
            .expect("the engines are installed");
        test(service.clone()).await;
        service
            .shutdown(Duration::from_secs(10))
            .await
            .expect("the actors stop in time");
    });
}

pub(crate) fn offer(direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:Yc0k\r\n\
         a=ice-pwd:2mWnQ2zVw9rJ0qkT8bXcLd5f\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
         a={direction}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n",
        ["AB"; 32].join(":")
    )
}

pub(crate) async fn publish(
    service: &Service,
    room: &str,
    identity: &str,
) -> Result<Session, SessionError> {
    let request = PublishRequest {
        room: room.into(),
        identity: identity.into(),
        name: None,
        lang: Lang::EN,
        offer: offer("sendonly"),
    };
    service.publish(request).await
}
