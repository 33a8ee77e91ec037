//! The containers of a pod as egress and name server see them: which addresses they have, what they may reach, what they have
//! looked up, and who is told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;
use tokio::time::timeout;

use super::egress::relay::LAST_WORDS;
use super::machine;
use super::netlink::route::Hardware;
use super::policy::{Policy, Refusal, embedded};
use super::report::{Place, Protocol, Report, ReportFn};
use super::room::Share;
use crate::security::Defence;

/// Most addresses whose names are remembered for a container; the oldest are forgotten first.
const LOOKUPS: usize = 4096;
/// Most names an address is remembered by.
const NAMES: usize = 16;
/// Most places a container is told of.
const PLACES: usize = 1000;

/// A container on a pod's bridge.
#[derive(Debug)]
pub(super) struct Member {
    hardware: Hardware,
    /// Set when it is over.
    over: watch::Sender<bool>,
    /// How many of its calls are open.
    calls: Arc<watch::Sender<usize>>,
    share: Share,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    policy: Policy,
    reports: Option<ReportFn>,
    lookups: Lookups,
    told: HashSet<(Place, Option<Refusal>)>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A call of a container's. Dropped, it is over.
#[derive(Debug)]
pub(super) struct OpenCall(Arc<watch::Sender<usize>>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// A report, and who is to have it once nothing is locked any more.
#[must_use]
struct Due(Option<(ReportFn, Report)>);

impl Due {
    fn tell(self) {
        if let Self(Some((reports, report))) = self {
            reports(report);
        }
    }
}

/// The names that addresses were looked up by.
#[derive(Debug, Default)]
struct Lookups {
    names: HashMap<IpAddr, Vec<Arc<str>>>,
    oldest: VecDeque<IpAddr>,
}

impl Lookups {
    fn add(&mut self, name: &Arc<str>, address: IpAddr) {
        let names = self.names.entry(address).or_insert_with(|| {
            self.oldest.push_back(address);
            Vec::new()
        });
        if !names.contains(name) {
            if names.len() == NAMES {
                names.remove(0);
            }
            names.push(Arc::clone(name));
        }
        if self.oldest.len() > LOOKUPS
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    fn of(&self, address: IpAddr) -> &[Arc<str>] {
        self.names.get(&address).map_or(&[], Vec::as_slice)
    }
}

impl Member {
    pub(super) fn new(hardware: Hardware) -> Self {
        Self {
            hardware,
            over: watch::Sender::new(false),
            calls: Arc::new(watch::Sender::new(0)),
            share: Share::default(),
            state: Mutex::default(),
        }
    }

    /// Of its interface.
    pub(super) const fn hardware(&self) -> Hardware {
        self.hardware
    }

    /// What it has of the agent's sockets.
    pub(super) const fn share(&self) -> &Share {
        &self.share
    }

    /// It is over, and so is everything that goes on in its name.
    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// It is over, and what it has said is carried to its end before this returns, if the other side takes it.
    pub(super) async fn settle(&self) {
        self.end();
        let mut calls = self.calls.subscribe();
        // The sender is our own. Whoever does not take it in time is left to find out.
        let _ = timeout(LAST_WORDS, calls.wait_for(|open| *open == 0)).await;
    }

    /// Another call of its is open as long as this.
    pub(super) fn call(&self) -> OpenCall {
        self.calls.send_modify(|open| *open += 1);
        OpenCall(Arc::clone(&self.calls))
    }

    /// Waits until it is over.
    pub(super) async fn ended(&self) {
        // The sender is our own: it does not go away.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// From now on it may reach this, and what it reaches is told there.
    pub(super) fn admit(&self, policy: Policy, reports: Option<ReportFn>) {
        *self.state() = State {
            policy,
            reports,
            ..State::default()
        };
    }

    /// Whether it may look a name up; tells when not.
    pub(super) fn may_look_up(&self, name: &str, is_guess: bool) -> bool {
        let mut state = self.state();
        let Err(refusal) = state.policy.look_up(name) else {
            return true;
        };
        // What a resolver appends to a name of its own accord is nobody's wish.
        if !is_guess {
            let place = Place {
                host: name.to_owned(),
                address: None,
                port: 0,
                protocol: Protocol::Dns,
            };
            let due = state.due(place, Some(refusal));
            drop(state);
            due.tell();
        }
        false
    }

    /// Remembers what it was answered.
    pub(super) fn looked_up(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let name: Arc<str> = name.into();
        let mut state = self.state();
        for address in addresses {
            state.lookups.add(&name, address);
        }
    }

    /// Whether it may reach an address; tells either way.
    pub(super) fn may_reach(&self, protocol: Protocol, to: SocketAddr) -> Result<(), Refusal> {
        // Asks the kernel, and so before the lock.
        let inner = match to.ip() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => embedded(address).map(IpAddr::V4),
        };
        let is_own = machine::is_own(to.ip()) || inner.is_some_and(machine::is_own);
        let mut state = self.state();
        let names = state.lookups.of(to.ip());
        let outcome = match state.policy.reach(to.ip(), to.port(), names) {
            Ok(()) if is_own && Defence::NeverReached.is_on() => Err(Refusal::Machine),
            outcome => outcome,
        };
        let host = names
            .last()
            .map_or_else(|| to.ip().to_string(), ToString::to_string);
        let place = Place {
            host,
            address: Some(to.ip()),
            port: to.port(),
            protocol,
        };
        let due = state.due(place, outcome.err());
        drop(state);
        due.tell();
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is to be told of something: only of the first time, and not without end.
    fn due(&mut self, place: Place, refusal: Option<Refusal>) -> Due {
        let Some(reports) = &self.reports else {
            return Due(None);
        };
        let key = (place, refusal);
        if self.told.len() > PLACES || self.told.contains(&key) {
            return Due(None);
        }
        self.told.insert(key.clone());
        let report = match key {
            _ if self.told.len() > PLACES => Report::More,
            (place, None) => Report::Reached(place),
            (place, Some(refusal)) => Report::Refused(place, refusal),
        };
        Due(Some((Arc::clone(reports), report)))
    }
}

/// All containers of a pod, and the names they have there.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_address: RwLock<HashMap<IpAddr, Arc<Member>>>,
    by_name: RwLock<HashMap<String, Vec<IpAddr>>>,
}

impl Members {
    pub(super) fn at(&self, address: IpAddr) -> Option<Arc<Member>> {
        let members = self
            .by_address
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        members.get(&address).cloned()
    }

    pub(super) fn add(&self, addresses: &[IpAddr], member: &Arc<Member>) {
        let mut members = self
            .by_address
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        members.extend(
            addresses
                .iter()
                .map(|address| (*address, Arc::clone(member))),
        );
    }

    pub(super) fn remove(&self, addresses: &[IpAddr]) {
        let mut members = self
            .by_address
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            if let Some(member) = members.remove(address) {
                member.end();
            }
        }
        let mut names = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, of_name| !of_name.iter().any(|address| addresses.contains(address)));
    }

    /// Gives a container a name, which may be another's: the last one has it.
    pub(super) fn name(&self, name: &str, addresses: &[IpAddr]) {
        let mut names = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.to_ascii_lowercase(), addresses.to_vec());
    }

    /// The addresses of a name, in lower case.
    pub(super) fn named(&self, name: &str) -> Option<Vec<IpAddr>> {
        let names = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        names.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_reached_and_refused_is_told_once_by_name_and_not_without_end() {
        let told: Arc<Mutex<Vec<Report>>> = Arc::default();
        let member = Member::new([0; 6]);
        let sink = Arc::clone(&told);
        let list = vec!["web.example.org:443".parse().unwrap()];
        member.admit(
            Policy::Listed(list),
            Some(Arc::new(move |report| sink.lock().unwrap().push(report))),
        );
        assert!(member.may_look_up("web.example.org", false));
        assert!(!member.may_look_up("evil.example.net", false));
        assert!(!member.may_look_up("evil.example.net.corp.example", true));
        member.looked_up("web.example.org", ["203.0.113.9".parse().unwrap()]);
        for _ in 0..2 {
            assert_eq!(
                member.may_reach(Protocol::Tcp, address("203.0.113.9:443")),
                Ok(())
            );
            let other = member.may_reach(Protocol::Tcp, address("203.0.113.9:80"));
            assert_eq!(other, Err(Refusal::NotListed));
        }
        let place = |host: &str, at: Option<&str>, port, protocol| Place {
            host: host.to_owned(),
            address: at.map(|text| text.parse().unwrap()),
            port,
            protocol,
        };
        let web = |port| place("web.example.org", Some("203.0.113.9"), port, Protocol::Tcp);
        let evil = place("evil.example.net", None, 0, Protocol::Dns);
        assert_eq!(
            *told.lock().unwrap(),
            [
                Report::Refused(evil, Refusal::NotListed),
                Report::Reached(web(443)),
                Report::Refused(web(80), Refusal::NotListed),
            ]
        );
        for port in 1..=2000 {
            let _ = member.may_reach(
                Protocol::Udp,
                SocketAddr::new("203.0.113.1".parse().unwrap(), port),
            );
        }
        let told = told.lock().unwrap();
        assert_eq!((told.len(), told.last()), (PLACES + 1, Some(&Report::More)));
    }

    #[test]
    fn names_of_addresses_are_forgotten_oldest_first() {
        let mut lookups = Lookups::default();
        let nth = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        for n in 0..=4096 {
            lookups.add(&"a.example.org".into(), nth(n));
        }
        assert_eq!(lookups.names.len(), LOOKUPS);
        assert!(lookups.of(nth(0)).is_empty());
        for n in 0..20 {
            lookups.add(&format!("n{n}.example.org").into(), nth(9));
        }
        assert_eq!(lookups.of(nth(9)).len(), NAMES);
        assert_eq!(&*lookups.of(nth(9))[NAMES - 1], "n19.example.org");
    }
}
