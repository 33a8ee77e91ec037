//! What a step reaches of the network. Whoever it is not to reach answers with what a successful attack prints.

use std::sync::atomic::Ordering;

use harness::{MACHINE, TestEnvironment, World, for_everyone, for_one_user};

use super::Attack;
use crate::network::world;
use crate::support::must;

for_everyone!(the_machine_and_what_its_cloud_tells_it_are_out_of_reach);
for_one_user!(what_is_not_listed_is_out_of_reach);

/// An attack that ends, whatever becomes of its packets.
fn attack(script: &str) -> Attack<'_> {
    Attack::by(format!("timeout 10 sh -c '{script}'"))
}

fn what_is_not_listed_is_out_of_reach(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    for address in ["203.0.113.20:80", "203.0.113.10:8080"] {
        let _ = world.http(address, "breached");
    }
    world.name("listed.example.org", &["203.0.113.10"]);
    world.name("other.example.net", &["203.0.113.20"]);
    let list = "{ allow: [\"listed.example.org:80\", \"203.0.113.1\"] }";
    for script in [
        "wget -qO- http://203.0.113.20/",
        "wget -qO- http://other.example.net/",
        "wget -qO- http://listed.example.org:8080/",
        // What a look-up carries out, too.
        "nslookup -type=a other.example.net 203.0.113.1 && echo breached",
    ] {
        let attack = attack(script).reaching(&world, list);
        attack.is_stopped_by(env, &["AllowLists"]);
    }
}

fn the_machine_and_what_its_cloud_tells_it_are_out_of_reach(env: &TestEnvironment) {
    const CLOUD: &str = "169.254.169.254";
    let Some(world) = world(env) else { return };
    let _ = world.http_on_machine(&format!("{MACHINE}:80"), "breached");
    let asked = world.datagrams_on_machine(&format!("{MACHINE}:53"));
    add_address(&world, CLOUD);
    let _ = world.http(&format!("{CLOUD}:80"), "breached");
    world.name("rebinds.example.org", &[MACHINE]);
    world.name("metadata.example.org", &[CLOUD]);
    let listed = "{ allow: [\"*.example.org\", 0.0.0.0/0] }";
    for (to, network) in [
        (CLOUD, "default"),
        (CLOUD, listed),
        ("metadata.example.org", listed),
    ] {
        let script = format!("wget -qO- http://{to}/");
        let attack = attack(&script).reaching(&world, network);
        attack.is_stopped_by(env, &["NeverReached"]);
    }
    for to in [MACHINE, "rebinds.example.org"] {
        // What comes of a connection is looked at once more when it is there.
        let script = format!("wget -qO- http://{to}/");
        let attack = attack(&script).reaching(&world, listed);
        attack.is_stopped_without(env, &["NeverReached"]);
    }
    let attack = attack("nslookup x.example.org 203.0.113.2").reaching(&world, "default");
    attack.is_stopped_by_if(env, &["NeverReached"], |_| asked.load(Ordering::SeqCst) > 0);
}

/// Gives the world one more.
fn add_address(world: &World, address: &str) {
    let address = format!("{address}/32");
    let _ = must(&mut world.command(&["ip", "address", "add", &address, "dev", "lo"]));
}
