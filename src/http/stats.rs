//! `/rooms`, `/stats` and `/api/stats`: who is where and how well their packets get through, for scripts and
//! dashboards. What a graph needs over time is in `/metrics`.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use futures_util::future::LocalBoxFuture;
use hive_actors::{LinkFigures, RoomFigures, Service};
use serde::Serialize;

use super::{
    app::{Door, only},
    bearer::{self, bearer},
    problem::{Problem, ProblemKind},
    signalling::in_time,
};

/// Where the figures come from.
pub trait Figures: Send + Sync + 'static {
    /// See [`Service::figures`].
    fn room_figures(&self) -> LocalBoxFuture<'_, Vec<RoomFigures>>;
}

impl Figures for Service {
    fn room_figures(&self) -> LocalBoxFuture<'_, Vec<RoomFigures>> {
        Box::pin(self.figures())
    }
}

/// The body of `/rooms`.
#[derive(Debug, Serialize)]
struct Rooms {
    rooms: Vec<Room>,
}

/// The body of `/stats`.
#[derive(Debug, Serialize)]
struct Stats {
    total_rooms: usize,
    total_participants: usize,
    uptime_s: u64,
    quality_stats: QualityStats,
    rooms: Vec<Room>,
}

#[derive(Debug, Serialize)]
struct Room {
    name: String,
    num_participants: usize,
    num_publishers: usize,
    quality_stats: QualityStats,
}

/// Of the peer connections that there are, each since it was made.
#[derive(Debug, Serialize)]
struct QualityStats {
    connected_peers: usize,
    /// Lost of all media packets that were sent, both directions together: 0 to 1.
    packet_loss_rate: f64,
    /// The same of the way to the server.
    packet_loss_rate_in: f64,
    /// The same of the way from the server.
    packet_loss_rate_out: f64,
    /// Mean over the peers that have media.
    jitter_ms: f64,
    jitter_ms_max: f64,
    /// Mean over the peers whose round trip is known.
    rtt_ms: Option<f64>,
    packets_in: u64,
    packets_out: u64,
}

impl From<LinkFigures> for QualityStats {
    fn from(links: LinkFigures) -> Self {
        let LinkFigures {
            packets_in,
            lost_in,
            packets_out,
            lost_out,
            ..
        } = links;
        // What was lost on the way here was sent, but not received; what was lost on the way there was sent.
        let (sent_in, sent_out) = (packets_in + lost_in, packets_out.max(lost_out));
        Self {
            connected_peers: links.connected,
            packet_loss_rate: ratio((lost_in + lost_out) as f64, (sent_in + sent_out) as f64),
            packet_loss_rate_in: ratio(lost_in as f64, sent_in as f64),
            packet_loss_rate_out: ratio(lost_out as f64, sent_out as f64),
            jitter_ms: ratio(links.jitter_ms_sum, links.jitters as f64),
            jitter_ms_max: links.jitter_ms_max,
            rtt_ms: (links.rtts > 0).then(|| links.rtt_ms_sum / links.rtts as f64),
            packets_in,
            packets_out,
        }
    }
}

/// Without packets nothing is lost.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn sum(links: impl Iterator<Item = LinkFigures>) -> LinkFigures {
    links.fold(LinkFigures::default(), |sum, links| sum + links)
}

impl From<RoomFigures> for Room {
    fn from(figures: RoomFigures) -> Self {
        Self {
            name: figures.room,
            num_participants: figures.participants,
            num_publishers: figures.publishers,
            quality_stats: figures.links.into(),
        }
    }
}

/// Which rooms a caller may see.
enum Sight {
    All,
    One(String),
}

/// Whether a request comes from this machine itself. One that a proxy on this machine passes on does not, nor does
/// one that a page in a browser here makes.
fn is_local(request: &HttpRequest) -> bool {
    let on_behalf = ["x-forwarded-for", "forwarded", "origin"];
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    peer.is_some_and(|peer| peer.is_loopback())
        && !on_behalf
            .iter()
            .any(|name| request.headers().contains_key(*name))
}

/// Holders of a service key, tokens with `roomList` and who is on this machine see every room, tokens with
/// `roomAdmin` theirs.
fn sight(door: &Door, request: &HttpRequest) -> Result<Sight, Problem> {
    let credentials = bearer(request);
    if credentials.is_none() && is_local(request) {
        return Ok(Sight::All);
    }
    if credentials.is_some_and(|key| door.service_keys.accept(key)) {
        return Ok(Sight::All);
    }
    let video = bearer::verify(door, credentials)?.video;
    match video.room {
        _ if video.room_list => Ok(Sight::All),
        Some(room) if video.room_admin => Ok(Sight::One(room)),
        _ => Err(ProblemKind::NotPermitted
            .because("the token's video grant lacks roomList (or roomAdmin with a room); a service key will do, too")),
    }
}

async fn seen(door: &Door, request: &HttpRequest) -> Result<Vec<RoomFigures>, Problem> {
    let sight = sight(door, request)?;
    let mut figures = in_time(door, door.backend.room_figures()).await?;
    if let Sight::One(room) = sight {
        figures.retain(|figures| figures.room == room);
    }
    Ok(figures)
}

fn answer(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}

async fn rooms(door: web::Data<Door>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let figures = seen(&door, &request).await?;
    Ok(answer(Rooms {
        rooms: figures.into_iter().map(Room::from).collect(),
    }))
}

async fn stats(door: web::Data<Door>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let figures = seen(&door, &request).await?;
    Ok(answer(Stats {
        total_rooms: figures.len(),
        total_participants: figures.iter().map(|room| room.participants).sum(),
        uptime_s: door.started.elapsed().as_secs(),
        quality_stats: sum(figures.iter().map(|room| room.links)).into(),
        rooms: figures.into_iter().map(Room::from).collect(),
    }))
}

/// The addresses of figures.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(only(
        web::resource("/rooms").route(web::get().to(rooms)),
        "GET, OPTIONS",
    ));
    for address in ["/stats", "/api/stats"] {
        app.service(only(
            web::resource(address).route(web::get().to(stats)),
            "GET, OPTIONS",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_a_rate_of_what_was_sent_and_jitter_a_mean() {
        let quality = QualityStats::from(LinkFigures {
            connected: 3,
            packets_in: 90,
            lost_in: 10,
            packets_out: 100,
            lost_out: 4,
            jitter_ms_sum: 9.0,
            jitters: 3,
            jitter_ms_max: 5.0,
            rtt_ms_sum: 80.0,
            rtts: 2,
        });
        assert_eq!(quality.packet_loss_rate_in, 0.1);
        assert_eq!(quality.packet_loss_rate_out, 0.04);
        assert_eq!(quality.packet_loss_rate, 0.07);
        assert_eq!((quality.jitter_ms, quality.jitter_ms_max), (3.0, 5.0));
        assert_eq!(quality.rtt_ms, Some(40.0));
    }

    #[test]
    fn without_packets_there_is_no_loss_and_no_round_trip() {
        let quality = QualityStats::from(LinkFigures::default());
        assert_eq!((quality.packet_loss_rate, quality.jitter_ms), (0.0, 0.0));
        assert_eq!(quality.rtt_ms, None);
        let odd = QualityStats::from(LinkFigures {
            lost_out: 5,
            ..LinkFigures::default()
        });
        assert_eq!(odd.packet_loss_rate, 1.0, "never more than everything");
    }
}
