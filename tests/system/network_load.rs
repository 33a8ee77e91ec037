//! Private networks under load, and with those who misbehave: every byte arrives, everybody is told, and the agent stays small.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;
use std::{fs, thread};

use harness::{Agent, Running, TestEnvironment, World, for_one_user};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::network::world;

for_one_user!(
    thousands_of_connections_are_open_at_once,
    who_takes_every_connection_leaves_some_for_others,
    who_never_answers_keeps_nobody_else_waiting,
    last_words_of_a_container_arrive,
    a_reset_gets_through_in_both_directions,
    a_reset_gets_through_where_nobody_reads,
    large_transfers_arrive_whole_in_both_directions_at_once,
    slow_readers_hold_nothing_in_the_agent,
    a_path_of_small_packets_carries_everything,
    large_datagrams_go_both_ways,
);

/// What a test's client begins with.
const CLIENT: &str = r#"use strict; use warnings; use IO::Poll; use IO::Socket::INET; use Socket qw(:all);
$| = 1;
# Never answers with less than it was asked for.
sub take { my ($from, $length) = @_; my $got = "";
    while (length $got < $length) {
        my $read = sysread($from, $got, $length - length $got, length $got);
        die "read: $!" unless defined $read; die "the end came early" unless $read; }
    $got }
sub give { my ($to, $bytes) = @_; my $at = 0;
    while ($at < length $bytes) { $at += syswrite($to, $bytes, length($bytes) - $at, $at) // die "write: $!" } }
sub call { IO::Socket::INET->new(PeerAddr => "203.0.113.10", PeerPort => $_[0], Blocking => $_[1] // 1) or die "connect: $!" }
sub broken { setsockopt($_[0], SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)) or die "linger: $!"; close($_[0]) }
"#;

/// The agent's memory, however many connections there are and whatever they do: MiB.
const MEMORY: u64 = 200;

/// `agent run` of a client in a world.
fn client<'a>(
    env: &'a TestEnvironment,
    world: &World,
    arguments: &[&str],
    script: &str,
) -> Agent<'a> {
    let script = format!("{CLIENT}{script}");
    let words = [&["run", "--rm", "host", "perl", "-e", &script], arguments].concat();
    env.agent(words).in_world(world)
}

/// The most memory that the agent has had so far, MiB.
fn peak_of(agent: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).expect("see the agent");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    peak.expect("its peak") / 1024
}

/// The next who calls, whom nobody waits for longer than any test may take.
fn accept(listener: &TcpListener) -> TcpStream {
    assert!(is_in_time(listener, PollFlags::IN), "nobody calls");
    let (stream, _) = listener.accept().expect("accept");
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).expect("set how long it may take");
    }
    stream
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for one of these events, or for trouble.
fn is_in_time(socket: &impl AsFd, events: PollFlags) -> bool {
    let patience = Timespec::try_from(PATIENCE).expect("a time");
    let mut asked = [PollFd::new(socket, events)];
    poll(&mut asked, Some(&patience)).expect("poll") == 1
}

fn take<const LENGTH: usize>(from: &mut impl Read) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes).expect("read");
    bytes
}

/// All of them are accepted and have said who they are before any is answered.
fn thousands_of_connections_are_open_at_once(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let count = raise_limit().min(10_000);
    let script = "my $count = shift;
        my @all = map { call(80, 0) } 1..$count;
        my $poll = IO::Poll->new;
        $poll->mask($_, POLLOUT) for @all;
        for (my $left = $count; $left;) {
            $poll->poll;
            for ($poll->handles(POLLOUT)) {
                $poll->remove($_); $left--;
                give($_, pack('N', fileno $_));
            } }
        print qq(all are there\\n);
        for (@all) { $_->blocking(1); my $number = unpack('N', take($_, 4)); die qq(answered to $number) if $number != (~fileno($_) & 0xffffffff); }
        print qq(all are answered\\n);";
    let limited = format!("ulimit -n {}; exec \"$@\"", count + 100);
    let script = format!("{CLIENT}{script}");
    let number = count.to_string();
    let words = [
        "run", "--rm", "host", "bash", "-c", &limited, "bash", "perl", "-e", &script, &number,
    ];
    // As distributions start programs: with few, and more for those who ask.
    let agent = env.agent(words).in_world(&world);
    let agent = agent.executed_by(["prlimit", "--nofile=1024:"]).spawn();
    let mut all: Vec<_> = (0..count).map(|_| accept(&listener)).collect();
    let said: Vec<_> = all.iter_mut().map(take::<4>).collect();
    let peak = peak_of(&agent);
    assert!(peak < MEMORY, "{count} connections take {peak} MiB");
    for (stream, said) in all.iter_mut().zip(said) {
        stream.write_all(&said.map(|byte| !byte)).expect("answer");
    }
    let done = agent.finish().expect(0);
    assert_eq!(done.output(), "all are there\nall are answered\n");
}

/// Lets this process have an end of every connection, whoever started the tests; answers how many connections a container can have:
/// of the agent's descriptors each takes two, some are its own, and nobody gets more than eight ninths of the others.
fn raise_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).expect("have as many files open as the machine lets us");
    let places = maximum.unwrap_or(u64::MAX).saturating_sub(512) / 2;
    usize::try_from(places.min(32_768) / 9 * 8).expect("a number")
}

fn who_takes_every_connection_leaves_some_for_others(env: &TestEnvironment) {
    /// As many as the other one has at once.
    const SOME: usize = 100;
    let Some(world) = world(env) else { return };
    let (many, gate, some) = (
        world.listen("203.0.113.10:80"),
        world.listen("203.0.113.10:81"),
        world.listen("203.0.113.10:82"),
    );
    raise_limit();
    // Nobody calls again whose first packet found no place in the queue.
    rustix::net::listen(&many, 4096).expect("make the queue long");
    // So few that every machine which runs this has as many.
    let taken = (4096 - 512) / 2 / 9 * 8 - SOME / 10;
    let greedy = "my @all = map { call(80, 0) } 1..2500;
        my $poll = IO::Poll->new; $poll->mask($_, POLLIN) for @all; $poll->poll;";
    let modest = "take(call(81), 1); my @all = map { call(82) } 1..100;
        give($_, 'ping') for @all; take($_, 4) for @all;";
    env.write("project/greedy.pl", format!("{CLIENT}{greedy}"));
    env.write("project/modest.pl", format!("{CLIENT}{modest}"));
    env.pipeline(
        "image: host\n\
         jobs:\n  \
           greedy: { steps: [{ run: ulimit -n 4000 && exec perl greedy.pl }] }\n  \
           modest: { steps: [{ run: exec perl modest.pl }] }\n",
    );
    let agent = env
        .agent(["run-local", "--jobs-parallel", "2"])
        .in_world(&world);
    let agent = agent.executed_by(["prlimit", "--nofile=4096"]).spawn();
    let mut gate = accept(&gate);
    let mut taken: Vec<_> = (0..taken).map(|_| accept(&many)).collect();
    gate.write_all(b"x").expect("open the gate");
    let mut theirs: Vec<_> = (0..SOME).map(|_| accept(&some)).collect();
    for stream in &mut theirs {
        assert_eq!(&take(stream), b"ping");
    }
    for stream in &mut theirs {
        stream.write_all(b"pong").expect("answer");
    }
    taken[0].write_all(b"x").expect("let the other one end");
    let _ = agent.finish().expect(0);
}

fn who_never_answers_keeps_nobody_else_waiting(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let (silent, other) = (
        world.listen("203.0.113.10:80"),
        world.listen("203.0.113.10:81"),
    );
    // One waits to be accepted, and first packets of others are answered by nobody.
    rustix::net::listen(&silent, 0).expect("make the queue short");
    let first = world
        .connect_from_machine("203.0.113.10:80")
        .expect("be the one");
    let script = "my @half = map { call(80, 0) } 1..100;
        my $other = call(81);
        give($other, 'ping'); die unless take($other, 4) eq 'pong';
        my $poll = IO::Poll->new;
        $poll->mask($_, POLLOUT) for @half;
        print $poll->poll(0), qq( of the silent one\\n);
        give($other, 'over');
        for (@half) { $_->blocking(1); give($_, 'late'); take($_, 4) eq 'then' or die }
        print qq(all in the end\\n);";
    let agent = client(env, &world, &[], script).spawn();
    let mut stream = accept(&other);
    assert_eq!(&take(&mut stream), b"ping");
    stream.write_all(b"pong").expect("answer");
    assert_eq!(&take(&mut stream), b"over");
    rustix::net::listen(&silent, 1000).expect("make the queue long");
    let _first = (accept(&silent), first);
    let mut late: Vec<_> = (0..100).map(|_| accept(&silent)).collect();
    for stream in &mut late {
        stream.write_all(b"then").expect("answer");
    }
    for stream in &mut late {
        assert_eq!(&take(stream), b"late");
    }
    let done = agent.finish().expect(0);
    assert_eq!(done.output(), "0 of the silent one\nall in the end\n");
}

/// Who has said something and ends has said it, as on a machine whose kernel goes on when a program is over.
fn last_words_of_a_container_arrive(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let script = "my @all = map { call(80) } 1..50; give($_, 'x' x 100_000) for @all;";
    let agent = client(env, &world, &[], script).spawn();
    let all: Vec<_> = (0..50).map(|_| accept(&listener)).collect();
    for mut stream in all {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).expect("read");
        assert_eq!(said.len(), 100_000);
    }
    let _ = agent.finish().expect(0);
}

fn a_reset_gets_through_in_both_directions(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let script = "my $one = call(80); give($one, 'question'); take($one, 6);
        print defined sysread($one, my $answer, 1) ? qq(an end\\n) : qq($!\\n);
        my $two = call(80); give($two, 'question'); take($two, 6); broken($two);
        my $three = call(80); shutdown($three, 1); take($three, 6); broken($three);
        take(call(80), 6);";
    let agent = client(env, &world, &[], script).spawn();
    let mut stream = accept(&listener);
    let _ = take::<8>(&mut stream);
    stream.write_all(b"answer").expect("answer");
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger");
    drop(stream);
    let mut stream = accept(&listener);
    let _ = take::<8>(&mut stream);
    stream.write_all(b"answer").expect("answer");
    let told = stream.read(&mut [0]).expect_err("a reset");
    assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    // Also behind the end of what the container had to say.
    let mut stream = accept(&listener);
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    stream.write_all(b"answer").expect("answer");
    told_of_reset(&stream);
    accept(&listener).write_all(b"answer").expect("answer");
    let done = agent.finish().expect(0);
    assert_eq!(done.output(), "Connection reset by peer\n");
}

/// Waits until a connection is broken, without reading what has come over it.
fn told_of_reset(stream: &TcpStream) {
    assert!(is_in_time(stream, PollFlags::empty()), "no reset comes");
    // Behind the end of the other direction it is called a broken pipe.
    assert!(stream.take_error().expect("ask").is_some(), "only an end");
}

fn a_reset_gets_through_where_nobody_reads(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let script = "my $stalled = call(80);
        my $poll = IO::Poll->new;
        $stalled->blocking(0);
        # Until nothing is taken any more, however much the agent may have carried on in the meantime.
        1 while defined syswrite($stalled, 'x' x 1000000) || $poll->mask($stalled, POLLOUT) && $poll->poll(0.2);
        broken($stalled);
        take(call(80), 6);";
    let agent = client(env, &world, &[], script).spawn();
    let stalled = accept(&listener);
    let mut behind = accept(&listener);
    told_of_reset(&stalled);
    behind.write_all(b"answer").expect("answer");
    let _ = agent.finish().expect(0);
}

/// A mebibyte that is like no other: 0, 1, 2.. times an odd number, behind its own number.
fn block(number: u32) -> Vec<u8> {
    let words = (0..1 << 18).map(|at: u32| at.wrapping_mul(2_654_435_761));
    let mut block: Vec<_> = words.flat_map(u32::to_be_bytes).collect();
    block[..4].copy_from_slice(&number.to_be_bytes());
    block
}

/// Sends `blocks` over a connection in both directions at once, and looks at each.
fn exchange(env: &TestEnvironment, world: &World, blocks: u32) {
    let listener = world.listen("203.0.113.10:80");
    let script = "my $count = shift; my $peer = call(80);
        my $block = pack('N*', map { $_ * 2654435761 & 0xffffffff } 0..(1<<18)-1);
        sub numbered { substr($block, 0, 4) = pack('N', $_[0]); $block }
        if (!fork) { give($peer, numbered($_)) for 1..$count; shutdown($peer, 1); exit }
        for (1..$count) { take($peer, 1 << 20) eq numbered($_) or die qq(block $_ is another) }
        die 'more than all' if sysread($peer, my $rest, 1);
        wait; exit $?;";
    let agent = client(env, world, &[&blocks.to_string()], script).spawn();
    let mut stream = accept(&listener);
    let mut other = stream.try_clone().expect("a second descriptor");
    let sending = thread::spawn(move || {
        for number in 1..=blocks {
            other.write_all(&block(number)).expect("send");
        }
    });
    let mut found = vec![0; 1 << 20];
    for number in 1..=blocks {
        stream.read_exact(&mut found).expect("read");
        assert!(found == block(number), "block {number} is another");
    }
    assert_eq!(stream.read(&mut [0]).expect("read"), 0);
    sending.join().expect("send all");
    let peak = peak_of(&agent);
    assert!(peak < MEMORY, "{peak} MiB");
    stream.shutdown(Shutdown::Write).expect("end");
    let _ = agent.finish().expect(0);
}

fn large_transfers_arrive_whole_in_both_directions_at_once(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    exchange(env, &world, 256);
}

fn slow_readers_hold_nothing_in_the_agent(env: &TestEnvironment) {
    const READERS: u8 = 64;
    const LENGTH: usize = 16 << 20;
    let Some(world) = world(env) else { return };
    let (listener, other) = (
        world.listen("203.0.113.10:80"),
        world.listen("203.0.113.10:81"),
    );
    let script = "my @slow = map { my $slow = call(80); take($slow, 1); $slow } 1..64;
        my $other = call(81);
        take($other, 64 << 20);
        give($other, 'over'); take($other, 4);
        for my $slow (@slow) { my $byte = take($slow, 1); take($slow, 1 << 20) eq $byte x (1 << 20) or die for 1..16; }";
    let agent = client(env, &world, &[], script).spawn();
    let send = |number: u8| {
        let mut stream = accept(&listener);
        stream.write_all(&[number]).expect("send");
        thread::spawn(move || stream.write_all(&vec![number; LENGTH + 1]).expect("send"))
    };
    let sending: Vec<_> = (0..READERS).map(send).collect();
    // All of them have as much as they take before somebody who reads has four times as much.
    let mut stream = accept(&other);
    stream.write_all(&vec![0; 64 << 20]).expect("send");
    assert_eq!(&take(&mut stream), b"over");
    let peak = peak_of(&agent);
    assert!(peak < MEMORY, "{READERS} slow readers take {peak} MiB");
    stream.write_all(b"over").expect("answer");
    for sending in sending {
        sending.join().expect("send all");
    }
    let _ = agent.finish().expect(0);
}

fn a_path_of_small_packets_carries_everything(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    world.mtu(1280);
    exchange(env, &world, 16);
    datagrams(env, &world);
}

fn large_datagrams_go_both_ways(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    datagrams(env, &world);
}

/// Of 60,000 bytes, which come in fragments.
fn datagrams(env: &TestEnvironment, world: &World) {
    world.echo("203.0.113.10:7000");
    world.echo("[2001:db8::1]:7000");
    let script = r#"
    for my $host (@ARGV) {
        my ($error, $found) = getaddrinfo($host, 7000, { socktype => SOCK_DGRAM });
        socket(my $socket, $found->{family}, SOCK_DGRAM, 0) or die "socket: $!";
        connect($socket, $found->{addr}) or die "connect: $!";
        for my $round (1..3) {
            my $sent = pack("N*", map { $_ * $round } 1..15000);
            # A datagram may be lost on a busy machine; one that never comes is not.
            for (1..20) {
                send($socket, $sent, 0) // die "send: $!";
                my $poll = IO::Poll->new; $poll->mask($socket, POLLIN);
                last if $poll->poll(1) > 0;
            }
            do { recv($socket, $_, 65536, 0) // die "recv: $!" } until $_ eq $sent;
        }
        print "$host\n";
    }"#;
    let hosts = ["203.0.113.10", "2001:db8::1"];
    let done = client(env, world, &hosts, script).run().expect(0);
    assert_eq!(done.output(), "203.0.113.10\n2001:db8::1\n");
}
