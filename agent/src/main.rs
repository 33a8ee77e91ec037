//! The `agent` binary.

fn main() -> std::process::ExitCode {
    agent::program::main()
}
