//! Private networks: what a container reaches, and who reaches it.

use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::{
    Agent, Finished, MACHINE, TestEnvironment, World, for_everyone, for_one_user, images, skip,
    wait,
};

for_everyone!(
    a_container_has_an_address_of_its_own_and_a_way_out,
    what_nobody_may_reach_is_refused,
);

for_one_user!(
    a_call_ends_as_whom_it_calls_lets_it_end,
    datagrams_go_both_ways,
    echoes_come_back_where_the_machine_lets_its_users_ask,
    a_port_is_there_when_it_is_published,
    a_port_that_somebody_has_is_told_with_who_has_it,
    addresses_are_none_that_the_machine_has_a_route_for,
    the_machines_network_is_for_those_whom_the_configuration_lets,
    both_sides_of_a_connection_are_told_of_its_end,
    a_slow_reader_gets_every_byte,
    nobody_sends_in_the_name_of_another,
);

/// A world for a test, or `None` where there can be none.
pub(crate) fn world(env: &TestEnvironment) -> Option<World> {
    match World::create(env) {
        Ok(world) => Some(world),
        Err(why) => {
            skip(&why);
            None
        }
    }
}

/// `agent run` of a script in a small image, in a world.
fn agent<'a>(env: &'a TestEnvironment, world: &World, options: &[&str], script: &str) -> Agent<'a> {
    let image = images::plain();
    let words = [&["run", "--rm"], options, &[&image, "sh", "-c", script]].concat();
    env.agent(words).in_world(world)
}

fn run(env: &TestEnvironment, world: &World, script: &str) -> Finished {
    agent(env, world, &[], script).run()
}

fn eventually(question: impl FnMut() -> Option<()>) {
    let answer = wait::until(Duration::from_secs(20), question);
    answer.expect("it comes true in time");
}

fn a_container_has_an_address_of_its_own_and_a_way_out(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let served = world.http("203.0.113.10:80", "hello");
    let _ = world.http("[2001:db8::1]:80", "hello of the other family");
    world.name("web.example.org", &["203.0.113.10"]);
    world.name("old.corp.example", &["203.0.113.10"]);
    let script = "ip -o addr show dev eth0 | grep -o 'inet6\\? [^ ]*'
        cat /etc/resolv.conf; tail -n 2 /etc/hosts
        wget -qO- http://web.example.org/; echo; wget -qO- http://old/; echo
        wget -qO- 'http://[2001:db8::1]/'; echo
        nslookup nothing.example.org >/dev/null || echo no such name
        ip neigh show dev eth0 | grep -c PERMANENT
        ip link | grep -c : ; echo up > /sys/class/net/eth0/operstate || ip link set eth0 down || echo may change nothing";
    let done = agent(env, &world, &["--name", "box"], script)
        .run()
        .expect(0);
    assert_eq!(
        done.output(),
        "inet 10.213.0.2/26\n\
         inet6 fd5c:1ab3:7ee9::2/122\n\
         nameserver 10.213.0.1\n\
         search pod corp.example\n\
         10.213.0.2\tbox\n\
         fd5c:1ab3:7ee9::2\tbox\n\
         hello\n\
         hello\n\
         hello of the other family\n\
         no such name\n\
         2\n\
         4\n\
         may change nothing\n"
    );
    assert_eq!(served.load(Ordering::SeqCst), 2);
}

fn what_nobody_may_reach_is_refused(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let own = world.http_on_machine(&format!("{MACHINE}:80"), "the machine's");
    let local = world.http_on_machine("127.0.0.1:8080", "of the loopback interface");
    let _ = world.http("203.0.113.10:80", "");
    world.name(
        "rebound.example.org",
        &[MACHINE, "127.0.0.1", "169.254.169.254"],
    );
    let script = format!(
        "for to in {MACHINE}:80 [2001:db8::2]:80 169.254.169.254:80 127.0.0.1:8080 [::1]:8080 10.213.0.1:80 10.213.0.1:8080 \
           [::ffff:169.254.169.254]:80 [64:ff9b::a9fe:a9fe]:80 rebound.example.org:80 rebound.example.org:8080 0.0.0.0:8080 203.0.113.10:80; do
             timeout 10 wget -qO- http://$to/ 2>/dev/null && echo reached $to; done; echo done"
    );
    let done = run(env, &world, &script).expect(0);
    assert_eq!(done.output(), "reached 203.0.113.10:80\ndone\n");
    assert_eq!(own.load(Ordering::SeqCst) + local.load(Ordering::SeqCst), 0);
}

fn a_call_ends_as_whom_it_calls_lets_it_end(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let _ = world.http("203.0.113.10:81", "");
    world.unreachable("192.0.2.0/24");
    let script = "nc -w 5 203.0.113.10 80 </dev/null; nc -w 5 192.0.2.1 80 </dev/null; wget -qO- http://203.0.113.10:81 && echo connected";
    let done = run(env, &world, script).expect(0);
    let told = done.errors();
    let told: Vec<_> = told.lines().filter(|line| line.starts_with("nc")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    nc: can't connect to remote host (203.0.113.10): Connection refused
    nc: can't connect to remote host (192.0.2.1): No route to host
    ");
    assert_eq!(done.output(), "connected\n");
}

/// Sends a datagram to each of the addresses behind it, and prints what comes back.
const DATAGRAMS: &str = r#"use Socket qw(:all);
$| = 1;
$SIG{ALRM} = sub { };
for (@ARGV) {
    my ($host, $port) = /^(.*):(\d+)$/;
    my ($error, $found) = getaddrinfo($host, $port, { socktype => SOCK_DGRAM });
    socket(my $socket, $found->{family}, SOCK_DGRAM, 0) or die "socket: $!";
    connect($socket, $found->{addr}) or die "connect: $!";
    for my $text ("first", "second") {
        alarm 5;
        send($socket, "$text of $host\n", 0) or die "send: $!";
        defined recv($socket, my $answer, 100, 0) or do { print "$!\n"; last };
        print $answer;
    }
}"#;

fn datagrams_go_both_ways(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    world.echo("203.0.113.10:7000");
    world.echo("[2001:db8::1]:7000");
    let words = [
        "run",
        "--rm",
        "host",
        "perl",
        "-e",
        DATAGRAMS,
        "203.0.113.10:7000",
        "2001:db8::1:7000",
        "203.0.113.10:7001",
        MACHINE_PORT,
    ];
    let done = env.agent(words).in_world(&world).run().expect(0);
    insta::assert_snapshot!(done.output(), @r"
    first of 203.0.113.10
    second of 203.0.113.10
    first of 2001:db8::1
    second of 2001:db8::1
    Connection refused
    No route to host
    ");
}

/// Of the machine itself, which no container reaches.
const MACHINE_PORT: &str = "203.0.113.2:7000";

/// Asks each of the addresses for an echo.
const ECHOES: &str = r#"use Socket qw(:all);
$| = 1;
$SIG{ALRM} = sub { };
for my $host (@ARGV) {
    my ($error, $found) = getaddrinfo($host, 0, { socktype => SOCK_DGRAM });
    my $old = $found->{family} == AF_INET;
    socket(my $socket, $found->{family}, SOCK_DGRAM, $old ? 1 : 58) or die "socket: $!";
    connect($socket, $found->{addr}) or die "connect: $!";
    my $message = pack("CCnnna*", $old ? 8 : 128, 0, 0, 1, 7, "hello!");
    my $sum = 0;
    $sum += $_ for unpack("n*", $message);
    $sum = ($sum & 0xffff) + ($sum >> 16);
    substr($message, 2, 2) = pack("n", ~$sum & 0xffff) if $old;
    alarm 15;
    send($socket, $message, 0) or die "send: $!";
    if (defined recv($socket, my $answer, 100, 0)) { print "back: ", substr($answer, 8), "\n" } else { print "$!\n" }
}"#;

fn echoes_come_back_where_the_machine_lets_its_users_ask(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let words = [
        "run",
        "--rm",
        "host",
        "perl",
        "-e",
        ECHOES,
        "203.0.113.10",
        "2001:db8::1",
        MACHINE,
    ];
    let ask = || env.agent(words).in_world(&world).run().expect(0).output();
    let refused = ask();
    assert!(refused.starts_with("No route to host\n"), "{refused}");
    world.let_users_ping();
    assert_eq!(ask(), "back: hello!\nback: hello!\nNo route to host\n");
}

fn a_port_is_there_when_it_is_published(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let serve = "while true; do echo served | nc -l -p 8000; done";
    let options = [
        "--name",
        "web",
        "-p",
        "127.0.0.1:9000:8000",
        "-p",
        "9001:8000/tcp",
    ];
    let running = agent(env, &world, &options, serve).spawn();
    let ask = |address: &str| {
        let mut text = String::new();
        let mut stream = world.connect_from_machine(address).ok()?;
        let _ = stream.read_to_string(&mut text);
        (text == "served\n").then_some(())
    };
    eventually(|| ask("127.0.0.1:9000"));
    eventually(|| ask("127.0.0.1:9001"));
    eventually(|| ask(&format!("{MACHINE}:9001")));
    assert!(
        world
            .connect_from_machine(&format!("{MACHINE}:9000"))
            .is_err()
    );
    assert!(world.connect_from_machine("127.0.0.1:8000").is_err());
    let listed = env.agent(["ps"]).run().expect(0).output();
    assert!(listed.contains("127.0.0.1:9000->8000/tcp"), "{listed}");
    let _ = env.agent(["kill", "web"]).run().expect(0);
    let _ = running.finish().expect(137);
    assert!(world.connect_from_machine("127.0.0.1:9000").is_err());
}

fn a_port_that_somebody_has_is_told_with_who_has_it(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let options = ["--name", "first", "-p", "127.0.0.1:9000:80"];
    let mut first = agent(env, &world, &options, "echo up; sleep 1000").spawn();
    first.wait_for("up");
    let options = ["-p", "127.0.0.1:9000:80"];
    let done = agent(env, &world, &options, "true").run().expect(125);
    let told = done.errors().replace(&first.id().to_string(), "PID");
    insta::assert_snapshot!(told, @"error: failed to publish a port: port 9000 of 127.0.0.1 is in use by agent (process PID)");
    let done = agent(env, &world, &["-p", "9000:80", "--network", "none"], "true").run();
    let _ = done.expect(125).says("has ports to publish");
    let _ = env.agent(["kill", "first"]).run().expect(0);
    let _ = first.finish();
}

fn addresses_are_none_that_the_machine_has_a_route_for(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let address = "ip -o -4 addr show dev eth0 | grep -o 'inet [^ ]*'";
    env.write(
        "config.yml",
        "network: { pools: [172.16.0.0/12, 10.77.0.0/16] }\n",
    );
    assert_eq!(
        run(env, &world, address).expect(0).output(),
        "inet 172.16.0.2/26\n"
    );
    // A VPN, and a campus network.
    world.route("172.16.0.0/12");
    assert_eq!(
        run(env, &world, address).expect(0).output(),
        "inet 10.77.0.2/26\n"
    );
    env.write("config.yml", "network: { bip: 10.9.8.7/24 }\n");
    let gateway = format!("{address}; ip route | grep default");
    let done = run(env, &world, &gateway).expect(0);
    assert_eq!(
        done.output(),
        "inet 10.9.8.1/24\ndefault via 10.9.8.7 dev eth0 \n"
    );
    world.route("10.0.0.0/8");
    let done = run(env, &world, "true").expect(125);
    insta::assert_snapshot!(done.errors(), @"error: failed to make the private network: every address range for private networks overlaps a route of the machine: 10.9.8.0/24");
}

fn the_machines_network_is_for_those_whom_the_configuration_lets(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let host = ["--network", "host"];
    let done = agent(env, &world, &host, "true").run().expect(125);
    insta::assert_snapshot!(done.errors(), @r"
    error: `--network host` is not allowed here
    help: the machine's configuration can allow it: `network: { host: true }`
    ");
    env.write("config.yml", "network: { host: true }\n");
    let done = agent(env, &world, &host, "ip -o link | grep -c world").run();
    assert_eq!(done.expect(0).output(), "1\n");
}

fn both_sides_of_a_connection_are_told_of_its_end(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let script = "(echo question; sleep 0.1) | nc 203.0.113.10 80; echo over; nc 203.0.113.10 80 < /dev/zero >/dev/null; echo reset";
    let running = agent(env, &world, &[], script).spawn();
    // The question ends, and the answer comes all the same.
    let (mut stream, _) = listener.accept().expect("accept");
    let mut question = String::new();
    stream
        .read_to_string(&mut question)
        .expect("read the question");
    assert_eq!(question, "question\n");
    stream.write_all(b"answer\n").expect("answer");
    drop(stream);
    // Unread bytes make it a reset.
    let (mut stream, _) = listener.accept().expect("accept");
    let _ = stream.read(&mut [0; 10]).expect("read a little");
    drop(stream);
    assert_eq!(running.finish().expect(0).output(), "answer\nover\nreset\n");
}

fn a_slow_reader_gets_every_byte(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let listener = world.listen("203.0.113.10:80");
    let script = "head -c 50000000 /dev/zero | tr '\\0' x | nc 203.0.113.10 80";
    let running = agent(env, &world, &[], script).spawn();
    let (mut stream, _) = listener.accept().expect("accept");
    let (mut total, mut buffer) = (0, vec![0; 100_000]);
    loop {
        let length = stream.read(&mut buffer).expect("read");
        if length == 0 {
            break;
        }
        assert!(buffer[..length].iter().all(|byte| *byte == b'x'));
        total += length;
        std::thread::yield_now();
    }
    assert_eq!(total, 50_000_000);
    // `nc` waits for that.
    drop(stream);
    let _ = running.finish().expect(0);
}

/// With `IPV6_FREEBIND` a program may bind any address; `IP_FREEBIND` likewise.
const IN_ANOTHERS_NAME: &str = r#"use Socket qw(:all);
my ($error, $to) = getaddrinfo("2001:db8::1", 7000, { socktype => SOCK_DGRAM });
for my $from (@ARGV) {
    socket(my $socket, AF_INET6, SOCK_DGRAM, 0) or die "socket: $!";
    setsockopt($socket, 41, 78, pack("i", 1)) or die "freebind: $!";
    bind($socket, pack_sockaddr_in6(0, inet_pton(AF_INET6, $from))) or die "bind: $!";
    print send($socket, "datagram", 0, $to->{addr}) ? "sent\n" : "$!\n";
}"#;

fn nobody_sends_in_the_name_of_another(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let received = world.datagrams("[2001:db8::1]:7000");
    let own = "fd5c:1ab3:7ee9::2";
    let words = [
        "run",
        "--rm",
        "host",
        "perl",
        "-e",
        IN_ANOTHERS_NAME,
        "fd5c:1ab3:7ee9::3",
        own,
    ];
    let done = env.agent(words).in_world(&world).run().expect(0);
    assert_eq!(done.output(), "Operation not permitted\nsent\n");
    eventually(|| (received.load(Ordering::SeqCst) == 1).then_some(()));
}
