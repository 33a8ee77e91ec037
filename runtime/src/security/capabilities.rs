//! The capabilities of a step's root user, all of them inside the container's own user namespace.

use rustix::thread::CapabilitySet;

/// Podman's eleven: the bounding, permitted and effective sets of a container's first process.
///
/// The inheritable and ambient sets stay empty (CVE-2022-24769: inheritable capabilities let an unprivileged user of
/// the container gain them by executing a file that has them).
///
/// Source: `DefaultCapabilities` in `common/pkg/config/default.go` of containers/container-libs, and
/// `capabilities(7)`. Docker gives three more: `AUDIT_WRITE`, `MKNOD` and `NET_RAW`.
pub const DEFAULT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_podmans_eleven_capabilities() {
        let names: Vec<&str> = DEFAULT.iter_names().map(|(name, _)| name).collect();
        insta::assert_snapshot!(
            names.join(" "),
            @"CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP"
        );
    }

    #[test]
    fn the_bits_are_the_kernels_capability_mask() {
        // The same number is in /proc/self/status of a podman container, as CapEff.
        assert_eq!(format!("{:016x}", DEFAULT.bits()), "00000000800405fb");
    }
}
