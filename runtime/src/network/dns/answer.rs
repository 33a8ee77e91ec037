use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::Transport;
use super::upstream::ask;
use crate::network::machine::Resolver;
use crate::network::member::{Member, Members};
use crate::network::pod::DOMAIN;

/// Containers come and go: what is known of them is soon out of date. Seconds.
const TTL: u32 = 1;

/// Answers a query of whoever is at an address; `None` to somebody unknown, and to what is no query.
pub(super) async fn answer(
    members: &Members,
    from: IpAddr,
    query: &[u8],
    transport: Transport,
) -> Option<Vec<u8>> {
    let member = members.at(from)?;
    let message = Message::from_vec(query).ok()?;
    if message.metadata.message_type != MessageType::Query {
        return None;
    }
    let [question] = message.queries.as_slice() else {
        return without(&message, ResponseCode::FormErr);
    };
    if message.metadata.op_code != OpCode::Query {
        return without(&message, ResponseCode::NotImp);
    }
    let name = plain(question);
    match local(members, &name) {
        Local::Addresses(addresses) => return with(&message, question, &addresses),
        Local::Nobody => return without(&message, ResponseCode::NXDomain),
        Local::Elsewhere => {}
    }
    let resolver = Resolver::of_machine();
    if !member.may_look_up(&name, is_guess(&name, &resolver)) {
        return without(&message, ResponseCode::NXDomain);
    }
    // Without room for another socket it is as if it was lost: it is asked again.
    let _place = member.share().take()?;
    match ask(&resolver, &message, question, transport).await {
        Some((bytes, answer)) => {
            remember(&member, &name, &answer);
            Some(bytes)
        }
        None => without(&message, ResponseCode::ServFail),
    }
}

/// A name in lower case, without its final dot.
fn plain(question: &Query) -> String {
    let name = question.name.to_lowercase().to_ascii();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// Whether a pod knows a name itself.
enum Local {
    Addresses(Vec<IpAddr>),
    /// It would be the pod's, and is nobody's.
    Nobody,
    Elsewhere,
}

fn local(members: &Members, name: &str) -> Local {
    let of_pod = name
        .strip_suffix(DOMAIN)
        .and_then(|rest| rest.strip_suffix('.'));
    match (members.named(of_pod.unwrap_or(name)), of_pod) {
        (Some(addresses), _) => Local::Addresses(addresses),
        (None, Some(_)) => Local::Nobody,
        (None, None) => Local::Elsewhere,
    }
}

/// Whether it is a resolver's own doing that a name is asked for: it appends the machine's domains to all names, and looks up
/// whom addresses belong to.
fn is_guess(name: &str, resolver: &Resolver) -> bool {
    let ends = resolver.search.iter().map(String::as_str);
    ends.chain(["arpa"]).any(|end| {
        name.strip_suffix(end.trim_end_matches('.'))
            .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// What the container was told counts for the name it asked for, whatever other names stand in between.
fn remember(member: &Member, name: &str, answer: &Message) {
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
    member.looked_up(name, addresses);
}

fn with(query: &Message, question: &Query, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let mut answer = response(query, ResponseCode::NoError);
    let record = |data| Record::from_rdata(question.name.clone(), TTL, data);
    let wants = |kind| {
        question.query_class == DNSClass::IN
            && (question.query_type == kind || question.query_type == RecordType::ANY)
    };
    for address in addresses {
        match address {
            IpAddr::V4(v4) if wants(RecordType::A) => {
                answer.add_answer(record(RData::A(A(*v4))));
            }
            IpAddr::V6(v6) if wants(RecordType::AAAA) => {
                answer.add_answer(record(RData::AAAA(AAAA(*v6))));
            }
            _ => {}
        }
    }
    answer.to_vec().ok()
}

fn without(query: &Message, code: ResponseCode) -> Option<Vec<u8>> {
    response(query, code).to_vec().ok()
}

fn response(query: &Message, code: ResponseCode) -> Message {
    let asked = &query.metadata;
    let mut answer = Message::response(asked.id, asked.op_code);
    answer.metadata.response_code = code;
    answer.metadata.recursion_desired = asked.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_queries(query.queries.iter().take(1).cloned());
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_proto::rr::Name;

    use super::*;
    use crate::network::policy::Policy;

    const CONTAINER: &str = "10.9.0.2";

    fn pod() -> Members {
        let members = Members::default();
        let member = Arc::new(Member::new([0; 6]));
        member.admit(Policy::Listed(Vec::new()), None);
        members.add(&[CONTAINER.parse().unwrap()], &member);
        members.name(
            "db",
            &["10.9.0.3".parse().unwrap(), "fd00::3".parse().unwrap()],
        );
        members
    }

    async fn asked(name: &str, kind: RecordType) -> String {
        let mut query = Message::query();
        query.metadata.id = 7;
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let bytes = query.to_vec().unwrap();
        let from = CONTAINER.parse().unwrap();
        let answer = answer(&pod(), from, &bytes, Transport::Udp).await.unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.id, 7);
        let found: Vec<_> = answer
            .answers
            .iter()
            .map(|record| record.data.to_string())
            .collect();
        format!("{:?} {}", answer.metadata.response_code, found.join(" "))
    }

    #[tokio::test]
    async fn containers_are_found_by_name_and_nobody_else_under_an_empty_list() {
        assert_eq!(asked("db.", RecordType::A).await, "NoError 10.9.0.3");
        assert_eq!(asked("DB.pod.", RecordType::AAAA).await, "NoError fd00::3");
        assert_eq!(asked("db.", RecordType::TXT).await, "NoError ");
        assert_eq!(asked("cache.pod.", RecordType::A).await, "NXDomain ");
        assert_eq!(asked("example.org.", RecordType::A).await, "NXDomain ");
    }

    #[tokio::test]
    async fn what_is_no_query_or_comes_from_elsewhere_is_not_answered() {
        let from = CONTAINER.parse().unwrap();
        assert_eq!(
            answer(&pod(), from, b"not a query", Transport::Udp).await,
            None
        );
        let answer_of_somebody = Message::response(1, OpCode::Query).to_vec().unwrap();
        assert_eq!(
            answer(&pod(), from, &answer_of_somebody, Transport::Udp).await,
            None
        );
        let query = Message::query().to_vec().unwrap();
        let other = "10.9.0.77".parse().unwrap();
        assert_eq!(answer(&pod(), other, &query, Transport::Udp).await, None);
        // One without a question is at least told so.
        assert!(answer(&pod(), from, &query, Transport::Udp).await.is_some());
    }

    #[test]
    fn what_a_resolver_appends_is_a_guess() {
        let resolver = Resolver {
            servers: Vec::new(),
            search: vec!["corp.example".to_owned()],
            options: Vec::new(),
        };
        for (name, guess) in [
            ("deb.debian.org.corp.example", true),
            ("corp.example", false),
            ("xcorp.example", false),
            ("4.3.2.1.in-addr.arpa", true),
            ("deb.debian.org", false),
        ] {
            assert_eq!(is_guess(name, &resolver), guess, "{name}");
        }
    }
}
