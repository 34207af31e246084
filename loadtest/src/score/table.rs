//! Every figure against its target, for people.

use super::report::Section;
use super::summary::Summary;

/// A line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    figure: &'static str,
    value: String,
    target: String,
    /// Whether the target is met; none where there is none.
    pub met: Option<bool>,
}

impl Row {
    /// A figure without a target.
    pub(crate) fn told(figure: &'static str, value: String) -> Self {
        Self {
            figure,
            value,
            target: String::new(),
            met: None,
        }
    }

    /// A figure and whether it meets its target.
    pub(crate) fn judged(figure: &'static str, value: String, target: &str, met: bool) -> Self {
        Self {
            figure,
            value,
            target: target.to_owned(),
            met: Some(met),
        }
    }
}

/// The figures of a meeting. `scripted` speech has a target for its word error rate.
pub fn rows(section: &Section, scripted: bool) -> Vec<Row> {
    let percent = |rate: f64| format!("{:.1} %", rate * 100.0);
    let below = |summary: &Summary, limit: f64| summary.p95.is_some_and(|p95| p95 <= limit);
    let s = section;
    let mut rows = vec![
        Row::judged(
            "caption latency p50, less link",
            one(s.caption_latency_less_link_ms.p50),
            "≤ 250 ms",
            s.caption_latency_less_link_ms
                .p50
                .is_some_and(|p50| p50 <= 250.0),
        ),
        Row::judged(
            "caption latency, less link",
            both(&s.caption_latency_less_link_ms),
            "p95 ≤ 250 ms",
            below(&s.caption_latency_less_link_ms, 250.0),
        ),
        Row::told("caption latency, as lived", both(&s.caption_latency_ms)),
        Row::told(
            "commit latency, less link",
            both(&s.commit_latency_less_link_ms),
        ),
        Row::told("commit latency, as lived", both(&s.commit_latency_ms)),
        Row::told("policy lag of commits", both(&s.policy_lag_ms)),
        Row::judged(
            "TTFT, less link",
            both(&s.ttft_less_link_ms),
            "p95 ≤ 450 ms",
            below(&s.ttft_less_link_ms, 450.0),
        ),
        Row::told("TTFT, as lived", both(&s.ttft_ms)),
        Row::told(
            "TTFT of a token that stays, less link",
            both(&s.ttft_committed_less_link_ms),
        ),
        Row::judged(
            "end-to-end, less link",
            both(&s.e2e_less_link_ms),
            "p95 < 500 ms",
            s.e2e_less_link_ms.p95.is_some_and(|p95| p95 < 500.0),
        ),
        Row::told("end-to-end, as lived", both(&s.e2e_ms)),
        Row::told(
            "link's own delay, up + down",
            format!("{:.0} + {:.0} ms", s.link_delay_ms.up, s.link_delay_ms.down),
        ),
    ];
    rows.push(if scripted {
        Row::judged("word error rate", percent(s.wer), "≤ 12 %", s.wer <= 0.12)
    } else {
        Row::told("word error rate", percent(s.wer))
    });
    rows.extend([
        Row::judged(
            "agreed words retracted",
            percent(s.word_retraction_rate),
            "< 5 %",
            s.word_retraction_rate < 0.05,
        ),
        Row::told("tail retracted", percent(s.tail_retraction_rate)),
        Row::judged(
            "committed words lost",
            s.words_lost.to_string(),
            "0",
            s.words_lost == 0,
        ),
        Row::judged(
            "committed words doubled",
            s.words_doubled.to_string(),
            "0",
            s.words_doubled == 0,
        ),
        Row::told(
            "clauses: translated, unspoken, cut off",
            format!(
                "{}, {}, {}",
                s.speech.clauses - s.clauses_unfinished,
                s.clauses_unspoken,
                s.clauses_cancelled
            ),
        ),
        Row::told("translated words", s.translated_words.to_string()),
        Row::told(
            "packets: sent, lost, recovered",
            format!(
                "{}, {}, {}",
                s.packets.sent, s.packets.lost, s.packets.recovered
            ),
        ),
        Row::told(
            "frames late or lost: rebuilt, concealed",
            format!("{}, {}", s.packets.recovered_by_fec, s.packets.concealed),
        ),
        Row::told("forwarding latency, as lived", both(&s.forward_latency_ms)),
        Row::told(
            "forwarding latency, the server's",
            both(&s.forward_added_ms),
        ),
        Row::judged(
            "floor gaps over 60 ms by the server",
            s.floor_gaps_by_server.to_string(),
            "0",
            s.floor_gaps_by_server == 0,
        ),
        Row::told(
            "stages killed, restarts",
            format!("{}, {}", s.kills.values().sum::<usize>(), s.restarts),
        ),
        Row::told(
            "server CPU, its engines' CPU",
            format!(
                "{:.1} s, {:.1} s for {:.0} s of audio",
                s.server.cpu_seconds, s.server.children_cpu_seconds, s.server.audio_seconds
            ),
        ),
        Row::told(
            "server memory, its engines' memory",
            format!(
                "{:.0} MB, {:.0} MB",
                s.server.peak_rss_mb, s.server.children_peak_rss_mb
            ),
        ),
    ]);
    rows
}

/// How many targets are missed.
pub fn missed(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.met == Some(false)).count()
}

/// Lay rows out under a title.
pub fn render(title: &str, rows: &[Row]) -> String {
    let width = |column: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| column(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (figures, values, targets) = (
        width(|row| row.figure),
        width(|row| &row.value),
        width(|row| &row.target),
    );
    let mut text = format!("{title}\n");
    for row in rows {
        let verdict = match row.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let line = format!(
            "  {:<figures$}  {:>values$}  {:<targets$}  {verdict}",
            row.figure, row.value, row.target
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn one(value: Option<f64>) -> String {
    value.map_or("no sample".to_owned(), |value| format!("{value:.0} ms"))
}

fn both(summary: &Summary) -> String {
    match (summary.p50, summary.p95) {
        (Some(p50), Some(p95)) => format!("p50 {p50:.0}, p95 {p95:.0} ms, n {}", summary.n),
        _ => "no sample".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_misses_stand_out() {
        let rows = [
            Row::judged("wer", "4.0 %".to_owned(), "≤ 12 %", true),
            Row::judged("latency", "300 ms".to_owned(), "≤ 250 ms", false),
            Row::told("restarts", "0".to_owned()),
        ];
        assert_eq!(missed(&rows), 1);
        let text = render("Dialogue", &rows);
        let lines = text.lines().collect::<Vec<_>>();
        assert_eq!(lines[1], "  wer        4.0 %  ≤ 12 %    met");
        assert_eq!(lines[2], "  latency   300 ms  ≤ 250 ms  MISSED");
        assert_eq!(lines[3], "  restarts       0");
    }
}
