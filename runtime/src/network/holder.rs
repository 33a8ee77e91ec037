//! Who has a port of the machine (proc_net(5), proc_pid_fd(5)): as far as the caller may look.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Most sockets that are looked through.
const ENTRIES: usize = 100_000;

/// Program and process id of who listens at an address, where that is a process the caller may look into.
pub(super) fn of(address: SocketAddr, udp: bool) -> Option<String> {
    let tables = match udp {
        true => ["/proc/net/udp", "/proc/net/udp6"],
        false => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let inodes: Vec<_> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listening(&text, address.port(), udp))
        .collect();
    inodes.iter().find_map(|inode| holder(inode))
}

/// The inodes of sockets that listen at a port.
fn listening(table: &str, port: u16, udp: bool) -> Vec<String> {
    /// `TCP_LISTEN`; datagram sockets are in the state `TCP_CLOSE`.
    const LISTEN: &str = "0A";
    const CLOSE: &str = "07";
    let wanted = if udp { CLOSE } else { LISTEN };
    let of_line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let local = words.nth(1)?;
        let state = words.nth(1)?;
        let (_, hex) = local.rsplit_once(':')?;
        let is_it = u16::from_str_radix(hex, 16) == Ok(port) && state == wanted;
        words.nth(5).filter(|_| is_it).map(str::to_owned)
    };
    table
        .lines()
        .skip(1)
        .take(ENTRIES)
        .filter_map(of_line)
        .collect()
}

/// The process that has a socket open.
fn holder(inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let has_it = fs::read_dir(process.path().join("fd"))
            .ok()?
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link == Path::new(&wanted)));
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        has_it.then(|| format!("{} (process {pid})", name.trim_end()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_find_ourselves_by_our_port() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ours = format!("(process {})", std::process::id());
        assert!(
            of(tcp.local_addr().unwrap(), false)
                .unwrap()
                .ends_with(&ours)
        );
        assert!(
            of(udp.local_addr().unwrap(), true)
                .unwrap()
                .ends_with(&ours)
        );
    }
}
