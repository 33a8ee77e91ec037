//! How many files the agent may have open (getrlimit(2)).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have as many files open as the machine lets it, and not the 1,024 that most sessions begin with: a job with
/// a network and three services has about 65 of them open, and each of its connections two. What is executed from now on inherits it.
/// So the zygote, where containers come from, has to be there before: programs that use select(2) break with a higher one.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let most = Rlimit {
            current: maximum,
            maximum,
        };
        // Where that is refused, whatever needs more says so.
        let _ = setrlimit(Resource::Nofile, most);
    }
}
