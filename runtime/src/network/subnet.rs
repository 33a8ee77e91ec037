//! Which addresses a pod's containers have. Pods do not see each other, so all of them may have the same; what counts is that
//! no route of the machine leads to any of them, since containers would then reach each other instead of that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::pod::PodSpec;

/// The largest range of a pod, and the smallest unless its pool is smaller still. What a container calls on its own link and
/// nobody answers to is remembered in a table that all namespaces of a machine have in common (`gc_thresh3` of arp(7): 1,024
/// entries), so that a range is no larger than its containers need.
const LARGEST: u8 = 22;
const SMALLEST: u8 = 26;

/// The range for so many containers, a few others, and some addresses that rest.
fn prefix(containers: usize) -> u8 {
    let room = |prefix: u8| 1_usize << (32 - prefix);
    let needed = containers.saturating_add(containers / 4).saturating_add(8);
    let fits = (LARGEST..=SMALLEST)
        .rev()
        .find(|prefix| room(*prefix) >= needed);
    fits.unwrap_or(LARGEST)
}

/// Where a pod's addresses are taken from, unless the machine's configuration says otherwise: of each of the private ranges
/// (RFC 1918), of that for translators (RFC 6598), and of that for benchmarks (RFC 2544), which nobody routes.
pub fn default_pools() -> Vec<Ipv4Net> {
    const POOLS: [([u8; 4], u8); 5] = [
        ([10, 213, 0, 0], 16),
        ([172, 29, 0, 0], 16),
        ([192, 168, 212, 0], 22),
        ([100, 93, 0, 0], 16),
        ([198, 18, 0, 0], 15),
    ];
    let net = |(octets, prefix): ([u8; 4], u8)| Ipv4Net::new(octets.into(), prefix).ok();
    POOLS.into_iter().filter_map(net).collect()
}

/// All pools overlap routes of the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("every address range for private networks overlaps a route of the machine: {}", list(.pools))]
pub struct NoSubnet {
    pools: Vec<Ipv4Net>,
}

fn list(pools: &[Ipv4Net]) -> String {
    let texts: Vec<_> = pools.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// The first range of the pools for so many containers that no route leads to, with the gateway's address in it.
///
/// # Errors
/// When there is none.
pub(super) fn choose(
    pools: &[Ipv4Net],
    containers: usize,
    routes: &[IpNet],
) -> Result<PodSpec, NoSubnet> {
    let prefix = prefix(containers);
    let ipv4 = pools.iter().find_map(|pool| free(*pool, prefix, routes));
    let Some(ipv4) = ipv4 else {
        return Err(NoSubnet {
            pools: pools.iter().map(Ipv4Net::trunc).collect(),
        });
    };
    Ok(PodSpec {
        ipv4,
        ipv6: local_ipv6(routes, ipv4),
    })
}

/// The first free range of a pool, with its gateway. A pool with an address in it is used whole, and that is its gateway.
fn free(pool: Ipv4Net, prefix: u8, routes: &[IpNet]) -> Option<Ipv4Net> {
    if pool.addr() != pool.network() {
        return (!routes.iter().any(|route| clashes(route, pool))).then_some(pool);
    }
    let prefix = prefix.max(pool.prefix_len());
    let step = 1_u64 << (32 - prefix);
    let end = u64::from(u32::from(pool.broadcast()));
    let mut at = u64::from(u32::from(pool.network()));
    while at <= end {
        let first = Ipv4Addr::from(u32::try_from(at).ok()?);
        let candidate = Ipv4Net::new(first, prefix).ok()?;
        match routes.iter().find(|route| clashes(route, candidate)) {
            None => return Ipv4Net::new(candidate.hosts().next()?, prefix).ok(),
            Some(IpNet::V6(_)) => return None,
            // On to the first one behind it.
            Some(IpNet::V4(route)) => {
                let behind = u64::from(u32::from(route.broadcast())) + 1;
                at = behind.next_multiple_of(step).max(at + step);
            }
        }
    }
    None
}

/// Whether a route leads to some of a range. One to everything says nothing of what is there.
fn clashes(route: &IpNet, range: Ipv4Net) -> bool {
    match route {
        IpNet::V4(route) if route.prefix_len() > 0 => {
            route.contains(&range) || range.contains(route)
        }
        IpNet::V4(_) | IpNet::V6(_) => false,
    }
}

/// Which of its range's an address is: the same in both families.
fn host_number(net: Ipv4Net) -> u32 {
    u32::from(net.addr()) - u32::from(net.network())
}

/// A range of unique local addresses (RFC 4193) that no route leads to, as large as that of the other family.
fn local_ipv6(routes: &[IpNet], ipv4: Ipv4Net) -> Ipv6Net {
    let gateway = host_number(ipv4);
    let candidate = |subnet: u16| {
        // A global id that was drawn once.
        let network = Ipv6Addr::new(0xfd5c, 0x1ab3, 0x7ee9, subnet, 0, 0, 0, 0);
        let address = Ipv6Addr::from(u128::from(network) + u128::from(gateway));
        Ipv6Net::new_assert(address, 96 + ipv4.prefix_len())
    };
    let is_free = |net: &Ipv6Net| {
        !routes.iter().any(|route| match route {
            IpNet::V6(route) => {
                route.prefix_len() > 0 && (route.contains(net) || net.contains(route))
            }
            IpNet::V4(_) => false,
        })
    };
    (0..64)
        .map(candidate)
        .find(is_free)
        .unwrap_or_else(|| candidate(0))
}

/// Addresses of a pod that containers have, or may get.
#[derive(Debug)]
pub(super) struct Addresses {
    spec: PodSpec,
    /// By the last bits, in order of their release.
    taken: std::collections::HashSet<u32>,
    next: u32,
}

impl Addresses {
    pub(super) fn new(spec: PodSpec) -> Self {
        Self {
            spec,
            taken: std::collections::HashSet::new(),
            next: 0,
        }
    }

    /// An address of each family, the one that was free for longest; `None` when all are taken.
    pub(super) fn take(&mut self) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let hosts = (1_u32 << (32 - u32::from(self.spec.ipv4.prefix_len()))).saturating_sub(2);
        for _ in 0..hosts {
            self.next = self.next % hosts + 1;
            let address = self.nth(self.next);
            if address.0 != self.spec.gateway() && self.taken.insert(self.next) {
                return Some(address);
            }
        }
        None
    }

    pub(super) fn give_back(&mut self, address: IpAddr) {
        if let IpAddr::V4(address) = address {
            let number = u32::from(address) - u32::from(self.spec.ipv4.network());
            self.taken.remove(&number);
        }
    }

    fn nth(&self, number: u32) -> (Ipv4Addr, Ipv6Addr) {
        let ipv4 = Ipv4Addr::from(u32::from(self.spec.ipv4.network()) + number);
        let base = u128::from(self.spec.ipv6.network());
        (ipv4, Ipv6Addr::from(base + u128::from(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn pools(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn chosen(pool: &[&str], routes: &[&str]) -> String {
        match choose(&pools(pool), 1000, &nets(routes)) {
            Ok(spec) => spec.ipv4.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_first_range_that_no_route_leads_to_is_taken() {
        assert_eq!(chosen(&["172.16.0.0/12"], &["0.0.0.0/0"]), "172.16.0.1/22");
        assert_eq!(
            chosen(&["172.16.0.0/12"], &["172.16.0.0/16", "172.17.4.0/24"]),
            "172.17.0.1/22"
        );
        assert_eq!(
            chosen(&["172.16.0.0/16"], &["172.16.1.7/32", "172.16.4.0/22"]),
            "172.16.8.1/22"
        );
        assert_eq!(chosen(&["10.9.8.0/24"], &[]), "10.9.8.1/24");
        assert_eq!(chosen(&["10.9.8.7/24"], &[]), "10.9.8.7/24");
        assert!(chosen(&["10.9.8.7/24"], &["10.9.8.200/32"]).contains("overlaps"));
    }

    #[test]
    fn a_pool_that_the_machine_has_routes_for_is_passed_over() {
        let routes = ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"];
        assert_eq!(
            chosen(&["172.16.0.0/12", "100.93.0.0/16"], &routes),
            "100.93.0.1/22"
        );
        insta::assert_snapshot!(chosen(&["172.16.0.0/12", "10.1.0.0/16"], &routes), @"every address range for private networks overlaps a route of the machine: 172.16.0.0/12, 10.1.0.0/16");
        // Half of the Internet in two routes, as VPNs have it.
        assert!(chosen(&["10.0.0.0/8"], &["0.0.0.0/1", "128.0.0.0/1"]).contains("overlaps"));
        let defaults = choose(&default_pools(), 1, &nets(&routes)).unwrap();
        assert_eq!(defaults.ipv4.to_string(), "100.93.0.1/26");
    }

    #[test]
    fn a_range_is_as_large_as_its_containers_need() {
        for (containers, expected) in [
            (0, 26),
            (1, 26),
            (44, 26),
            (46, 25),
            (300, 23),
            (usize::MAX, 22),
        ] {
            assert_eq!(prefix(containers), expected, "{containers}");
        }
    }

    #[test]
    fn addresses_are_each_containers_own_and_come_back_late() {
        let routes = nets(&["fd5c:1ab3:7ee9::/64"]);
        let spec = choose(&pools(&["10.9.8.0/29"]), 1000, &routes).unwrap();
        assert_eq!(spec.ipv6.to_string(), "fd5c:1ab3:7ee9:1::1/125");
        let mut all = Addresses::new(spec);
        let taken: Vec<_> = std::iter::from_fn(|| all.take()).collect();
        let texts: Vec<_> = taken.iter().map(|(v4, _)| v4.octets()[3]).collect();
        assert_eq!(texts, [2, 3, 4, 5, 6]);
        assert_eq!(taken[0].1.to_string(), "fd5c:1ab3:7ee9:1::2");
        all.give_back(taken[2].0.into());
        all.give_back(taken[0].0.into());
        assert_eq!(all.take().unwrap().0, taken[0].0);
        assert_eq!(all.take().unwrap().0, taken[2].0);
        assert_eq!(all.take(), None);
    }
}
