//! Programs joined by pipes, in one process group.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use super::duplex::{ExchangeError, exchange};

/// Running programs, the output of each the input of the next. Dropping it ends them all and leaves
/// no zombie.
///
/// The kernel kills them too when the thread that started them ends (`PR_SET_PDEATHSIG`, which
/// `setpriv` of util-linux sets: doing it between fork and exec would make the standard library fork
/// this process with all its memory instead of using `posix_spawn`). So start one only on a thread
/// that lives as long as it is needed.
#[derive(Debug)]
pub(crate) struct Pipeline {
    children: Vec<Child>,
    /// The first program's input; taken and dropped to close it.
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: ChildStdout,
}

impl Pipeline {
    /// Starts the programs, each a name and its arguments; at least one.
    pub(crate) fn start<A: AsRef<OsStr>>(stages: &[Vec<A>]) -> io::Result<Pipeline> {
        let mut starting = Starting::default();
        let mut first_input = None;
        for stage in stages {
            let mut command = Command::new("setpriv");
            let input = starting
                .output
                .take()
                .map_or_else(Stdio::piped, Stdio::from);
            command
                .args(["--pdeathsig", "KILL", "--"])
                .args(stage)
                .env("LC_ALL", "C.UTF-8")
                .stdin(input)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .process_group(starting.group());
            let mut child = command.spawn()?;
            if let Some(stdin) = child.stdin.take() {
                first_input.get_or_insert(stdin);
            }
            starting.output = child.stdout.take();
            starting.children.push(child);
        }
        let stdout = starting
            .output
            .take()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program to start"))?;
        let children = std::mem::take(&mut starting.children);
        Ok(Pipeline {
            children,
            stdin: first_input,
            stdout,
        })
    }

    /// Whether every program still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        all_alive(&mut self.children)
    }

    /// Sends `request` and reads the reply up to the byte `end`. Every 50 ms `go_on` is told whether
    /// all programs live, and says whether to wait on. After an error only dropping makes sense.
    pub(crate) fn ask(
        &mut self,
        request: &[u8],
        end: u8,
        deadline: Instant,
        go_on: &mut dyn FnMut(bool) -> bool,
    ) -> Result<Vec<u8>, ExchangeError> {
        let Pipeline {
            children,
            stdin,
            stdout,
        } = self;
        let Some(stdin) = stdin else {
            return Err(ExchangeError::Ended);
        };
        let mut go_on = || go_on(all_alive(children));
        exchange(stdin, stdout, request, end, deadline, &mut go_on)
    }

    /// Process ids, first program first.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Waits for programs that have closed their output to end; whether all did well.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        self.stdin = None;
        let mut well = true;
        for child in &mut self.children {
            well &= child.wait()?.success();
        }
        Ok(well)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        end(&mut self.children);
    }
}

/// What has been started so far; ended again if the rest cannot be.
#[derive(Default)]
struct Starting {
    children: Vec<Child>,
    output: Option<ChildStdout>,
}

impl Starting {
    /// The group of the first program, or 0 to make one.
    fn group(&self) -> i32 {
        self.children
            .first()
            .map_or(0, |child| child.id().cast_signed())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        end(&mut self.children);
    }
}

fn all_alive(children: &mut [Child]) -> bool {
    children
        .iter_mut()
        .all(|child| matches!(child.try_wait(), Ok(None)))
}

fn end(children: &mut [Child]) {
    for child in children.iter_mut() {
        // Fails only for one that has ended already.
        let _ = child.kill();
    }
    for child in children {
        let _ = child.wait();
    }
}

/// The program's file on the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cats(count: usize) -> Pipeline {
        // stdbuf is not needed: cat does not buffer.
        Pipeline::start(&vec![vec!["cat"]; count]).expect("cat and setpriv are everywhere")
    }

    fn ask(pipeline: &mut Pipeline, request: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        pipeline.ask(request, 0, deadline, &mut |alive| alive)
    }

    #[test]
    fn a_request_larger_than_the_pipes_goes_through() {
        let mut pipeline = cats(3);
        let mut request = vec![b'x'; 1_000_000];
        request.push(0);
        assert_eq!(
            ask(&mut pipeline, &request).expect("a reply").len(),
            1_000_000
        );
    }

    #[test]
    fn more_than_one_reply_is_refused() {
        assert!(matches!(
            ask(&mut cats(1), b"one\0two\0"),
            Err(ExchangeError::Surplus)
        ));
    }

    #[test]
    fn a_killed_program_is_noticed_whichever_it_is() {
        for victim in 0..3 {
            let mut pipeline = cats(3);
            assert_eq!(ask(&mut pipeline, b"hello\0").expect("alive"), b"hello");
            let pid = pipeline.pids()[victim].cast_signed();
            // SAFETY: our own child, which has not been waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            assert!(
                matches!(ask(&mut pipeline, b"hello\0"), Err(ExchangeError::Ended)),
                "{victim}"
            );
        }
    }

    #[test]
    fn ended_programs_leave_no_zombie() {
        let pipeline = cats(3);
        let pids = pipeline.pids();
        drop(pipeline);
        for pid in pids {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
        }
    }

    #[test]
    fn programs_die_with_the_thread_that_started_them() {
        let pids = std::thread::spawn(|| {
            let mut pipeline = cats(2);
            assert!(ask(&mut pipeline, b"up\0").is_ok());
            let pids = pipeline.pids();
            // As if the server were killed: nothing is dropped.
            std::mem::forget(pipeline);
            pids
        })
        .join()
        .expect("it does not panic");
        for pid in pids {
            // SAFETY: our own child; reaps it, and waits for the signal of the thread's end to do it.
            unsafe { libc::waitpid(pid.cast_signed(), std::ptr::null_mut(), 0) };
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
        }
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find_program("cat").is_some());
        assert!(find_program("no-such-program-as-this").is_none());
    }
}
