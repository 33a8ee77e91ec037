//! The process that fetches repositories, for tests.

fn main() -> std::io::Result<()> {
    repository::serve_transport()
}
