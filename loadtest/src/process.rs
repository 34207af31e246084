//! CPU time and memory of a process and its children, from `/proc`.

use std::collections::HashMap;

/// A process and whatever it started.
#[derive(Debug, Clone, Copy)]
pub struct ProcessTree {
    pid: u32,
}

/// What a process tree has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// User and system time of the process itself, seconds.
    pub cpu_seconds: f64,
    /// The same of its children, those that have ended and were waited for included.
    pub children_cpu_seconds: f64,
    /// Resident memory of the process now, MB (10⁶ bytes).
    pub rss_mb: f64,
    /// The most it ever was, MB.
    pub peak_rss_mb: f64,
    /// Resident memory of its children now, MB; pages they share count once each.
    pub children_rss_mb: f64,
}

/// The fields of `/proc/<pid>/stat` that are used (proc(5)), times in clock ticks.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    own: u64,
    reaped: u64,
    rss_pages: u64,
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command's name may hold blanks and brackets.
    let fields = text[text.rfind(')')? + 1..]
        .split_whitespace()
        .collect::<Vec<_>>();
    // Field 3 of proc(5), the state, is fields[0].
    let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: number(4)? as u32,
        own: number(14)? + number(15)?,
        reaped: number(16)? + number(17)?,
        rss_pages: number(24)?,
    })
}

/// `VmHWM` of `/proc/<pid>/status`, kB.
fn parse_peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

impl ProcessTree {
    /// The tree under a process id.
    pub fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// What it has used so far; zeros once it has ended.
    pub fn usage(&self) -> Usage {
        // SAFETY: sysconf takes no pointer.
        let (ticks, page) = unsafe {
            (
                libc::sysconf(libc::_SC_CLK_TCK).max(1) as f64,
                libc::sysconf(libc::_SC_PAGESIZE).max(1) as f64,
            )
        };
        let processes = read_all();
        let Some(root) = processes.get(&self.pid) else {
            return Usage::default();
        };
        let mut usage = Usage {
            cpu_seconds: root.own as f64 / ticks,
            children_cpu_seconds: root.reaped as f64 / ticks,
            rss_mb: root.rss_pages as f64 * page / 1e6,
            peak_rss_mb: std::fs::read_to_string(format!("/proc/{}/status", self.pid))
                .ok()
                .and_then(|status| parse_peak(&status))
                .map_or(0.0, |kb| kb * 1024.0 / 1e6),
            children_rss_mb: 0.0,
        };
        for pid in descendants(&processes, self.pid) {
            let child = &processes[&pid];
            usage.children_cpu_seconds += (child.own + child.reaped) as f64 / ticks;
            usage.children_rss_mb += child.rss_pages as f64 * page / 1e6;
        }
        usage
    }
}

fn read_all() -> HashMap<u32, Stat> {
    let mut processes = HashMap::new();
    let Ok(directory) = std::fs::read_dir("/proc") else {
        return processes;
    };
    for entry in directory.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid else {
            continue;
        };
        // A process may end between the listing and the reading.
        if let Ok(text) = std::fs::read_to_string(entry.path().join("stat"))
            && let Some(stat) = parse_stat(&text)
        {
            processes.insert(pid, stat);
        }
    }
    processes
}

fn descendants(processes: &HashMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = processes.iter().filter(|(_, stat)| stat.parent == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_an_odd_name() {
        let line = "42 (a) b) S 7 1 1 0 -1 0 0 0 0 0 100 20 3 4 20 0 1 0 5 1000 250 9";
        let stat = Stat {
            parent: 7,
            own: 120,
            reaped: 7,
            rss_pages: 250,
        };
        assert_eq!(parse_stat(line), Some(stat));
        assert_eq!(parse_stat("42 (x) S"), None);
        assert_eq!(parse_peak("Name:\tx\nVmHWM:\t  2048 kB\n"), Some(2048.0));
    }

    #[test]
    fn children_of_children_belong_to_the_tree() {
        let stat = |parent| Stat {
            parent,
            own: 0,
            reaped: 0,
            rss_pages: 0,
        };
        let processes = HashMap::from([(1, stat(0)), (2, stat(1)), (3, stat(2)), (4, stat(9))]);
        let mut below = descendants(&processes, 1);
        below.sort_unstable();
        assert_eq!(below, [2, 3]);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = ProcessTree::new(std::process::id()).usage();
        assert!(
            usage.rss_mb > 1.0 && usage.peak_rss_mb >= usage.rss_mb * 0.5,
            "{usage:?}"
        );
    }
}
