//! The `agent` binary with defences that tests can switch off; see `runtime::security::defences`.

fn main() -> std::process::ExitCode {
    agent::program::main()
}
