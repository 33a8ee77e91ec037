use std::path::Path;

use runtime::container::Device;
use rustix::fs::{FileType, major, minor};

use super::absolute;
use crate::oci::OciError;
use crate::oci::config::LinuxDevice;

/// Those beside the ones that every container has. In a user namespace no node can be made: what there is at the same path on
/// the machine is shown, with its owner and its mode.
pub(super) fn of(devices: &[LinuxDevice]) -> Result<Vec<Device>, OciError> {
    let all = devices.iter().enumerate();
    all.map(|(index, device)| one(&format!("linux.devices[{index}]"), device))
        .collect()
}

fn one(field: &str, device: &LinuxDevice) -> Result<Device, OciError> {
    let path = absolute(&format!("{field}.path"), &device.path)?;
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => {
            return Ok(Device::Fifo {
                path,
                mode: device.file_mode.unwrap_or(0o666) & 0o7777,
                user: device.uid.unwrap_or(0),
                group: device.gid.unwrap_or(0),
            });
        }
        other => {
            return Err(OciError::field(
                format!("{field}.type"),
                format!("{other:?} is none of c, b, u and p"),
            ));
        }
    };
    if is_there(&path, kind, (device.major, device.minor)) {
        return Ok(Device::OfMachine { path });
    }
    Err(OciError::field(
        field,
        format!(
            "the machine has no device {}:{} at {}, and in a user namespace none can be made",
            device.major,
            device.minor,
            path.display()
        ),
    ))
}

fn is_there(path: &Path, kind: FileType, number: (i64, i64)) -> bool {
    rustix::fs::lstat(path).is_ok_and(|found| {
        let its = (
            i64::from(major(found.st_rdev)),
            i64::from(minor(found.st_rdev)),
        );
        FileType::from_raw_mode(found.st_mode) == kind && its == number
    })
}
